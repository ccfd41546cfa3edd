"""The extension block: what a message may say beside its payload."""

import struct
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Annotated, Any, Final
from uuid import UUID

from . import limits
from .errors import Code, ProtocolError
from .schema import I64, Size, read


class Performative(IntEnum):
    """The act of speech of a message."""

    REQUEST = 1
    AGREE = 2
    REFUSE = 3
    INFORM = 4
    FAILURE = 5
    CFP = 6
    PROPOSE = 7
    ACCEPT_PROPOSAL = 8
    REJECT_PROPOSAL = 9
    CANCEL = 10
    NOT_UNDERSTOOD = 11


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension:
    """What a message may say beside its payload."""

    message_id: UUID | None = None
    in_reply_to: UUID | None = None
    traceparent: str | None = None
    deadline_ns: I64 | None = None
    idempotency_key: Annotated[str, Size(1, limits.IDEMPOTENCY_KEY_BYTES)] | None = None
    performative: Performative | None = None


def write_block(extension: Extension) -> bytes:
    """Writes the block with its length field, or nothing where no field is given."""
    given = [(name, getattr(extension, name)) for name in _TAGS if getattr(extension, name) is not None]
    values = [(_TAGS[name], _to_bytes(name, value)) for name, value in given]
    block = b"".join(bytes([tag, len(value)]) + value for tag, value in values)
    return len(block).to_bytes(2, "big") + block if block else b""


def _to_bytes(name: str, value: Any) -> bytes:
    match name:
        case "message_id" | "in_reply_to":
            return bytes(value.bytes)
        case "traceparent":
            return _trace(value)
        case "deadline_ns":
            read(I64, value, name)
            return struct.pack(">q", value)
        case "idempotency_key":
            read(_KEY, value, name)
            return str(value).encode()
    return bytes([value])


def _trace(text: str) -> bytes:
    parts = text.split("-")
    try:
        raw = b"".join(bytes.fromhex(part) for part in parts[1:])
    except ValueError:
        raw = b""
    if parts[0] != "00" or [len(part) for part in parts] != [2, 32, 16, 2] or len(raw) != 25:
        raise _invalid("traceparent", "it is not of version 00", "write 00-trace-span-flags in hexadecimal digits")
    return _check_trace(raw)


def _check_trace(raw: bytes) -> bytes:
    if not any(raw[:16]) or not any(raw[16:24]):
        raise _invalid("traceparent", "an id is zero", "leave the field out")
    return raw


def split_block(body: bytes) -> tuple[bytes, bytes]:
    """Splits what follows a header into the fields of the block and the payload."""
    end = 2 + int.from_bytes(body[:2], "big")
    if len(body) < 2 or end > len(body):
        raise _invalid("extension", "it is longer than the frame", "count what is sent")
    if end > limits.EXTENSION_BYTES:
        raise _too_large("extension", end, limits.EXTENSION_BYTES)
    return body[2:end], body[end:]


def read_block(block: bytes) -> Extension:
    """Reads the fields of a block; those with unknown tags are skipped."""
    found: dict[str, Any] = {}
    at, last = 0, 0
    while at < len(block):
        tag, length = block[at], block[at + 1] if at + 1 < len(block) else 256
        value, at = block[at + 2 : at + 2 + length], at + 2 + length
        if at > len(block) or tag <= last:
            raise _invalid("extension", "a field is cut short, or its tag does not ascend", "write each once, by tag")
        if tag in _NAMES:
            found[_NAMES[tag]] = _from_bytes(_NAMES[tag], value)
        last = tag
    return Extension(**found)


def _from_bytes(name: str, value: bytes) -> Any:
    if name in _LENGTHS and len(value) != _LENGTHS[name]:
        raise _invalid(name, f"{len(value)} bytes", f"give {_LENGTHS[name]}")
    match name:
        case "message_id" | "in_reply_to":
            return UUID(bytes=value)
        case "traceparent":
            raw = _check_trace(value)
            return f"00-{raw[:16].hex()}-{raw[16:24].hex()}-{raw[24:].hex()}"
        case "deadline_ns":
            return struct.unpack(">q", value)[0]
        case "idempotency_key":
            try:
                return read(_KEY, value.decode(), name)
            except UnicodeDecodeError:
                raise _invalid(name, "it is no UTF-8", "give a text") from None
    if value[0] not in Performative._value2member_map_:
        raise ProtocolError(Code.NOT_SUPPORTED, name, f"{value[0]} is not known", "give 1 to 11")
    return Performative(value[0])


_TAGS: Final = {field.name: tag for tag, field in enumerate(fields(Extension), 1)}
_NAMES: Final = {tag: name for name, tag in _TAGS.items()}
_LENGTHS: Final = {"message_id": 16, "in_reply_to": 16, "traceparent": 25, "deadline_ns": 8, "performative": 1}
_KEY: Final = Annotated[str, Size(1, limits.IDEMPOTENCY_KEY_BYTES)]


def to_words(extension: Extension) -> dict[str, Any]:
    """The fields as a text frame has them."""
    given = {name: getattr(extension, name) for name in _TAGS if getattr(extension, name) is not None}
    write_block(extension)
    if extension.performative is not None:
        given["performative"] = extension.performative.name.lower()
    return given


def from_words(found: dict[str, Any]) -> Extension:
    """Reads the fields of a text frame."""
    given: dict[str, Any] = {}
    for name, kind in _WORDS.items():
        if found.get(name) is not None:
            given[name] = read(kind, found[name], f"extension.{name}")
    if "performative" in given:
        word = given["performative"].upper()
        if word not in Performative.__members__ or given["performative"] != word.lower():
            raise ProtocolError(Code.NOT_SUPPORTED, "performative", f"{word.lower()} is not known", "give a known one")
        given["performative"] = Performative[word]
    if "traceparent" in given:
        _trace(given["traceparent"])
    return Extension(**given)


_WORDS: Final[dict[str, Any]] = dict(zip(_TAGS, (UUID, UUID, str, I64, _KEY, str), strict=True))


def _invalid(where: str, what: str, advice: str) -> ProtocolError:
    return ProtocolError(Code.INVALID, where, what, advice)


def _too_large(where: str, size: int, most: int) -> ProtocolError:
    return ProtocolError(Code.TOO_LARGE, where, f"{size} bytes, and {most} are the limit", "send less in one message")
