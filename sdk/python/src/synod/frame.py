"""Frames as bytes and as texts: the header of 64 bytes, batches, what may be in them.

Every function is total: any input is decoded, or refused by a `ProtocolError`.
"""

import struct
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from . import limits
from .compress import compress, inflate
from .errors import Code, ProtocolError
from .extension import (
    Extension,
    from_words,
    read_block,
    split_block,
    to_words,
    write_block,
)
from .limits import FrameLimits
from .payload import (
    Ack,
    Codec,
    Credit,
    EmergencyStop,
    Error,
    Goodbye,
    Heartbeat,
    Hello,
    Kind,
    ProgressReport,
    TaskRequest,
    TaskResponse,
    Welcome,
)
from .schema import I64, Value, checked, read
from .shared import Act, StateSync, StateUpdate
from .values import Count, from_json, pack, to_json, unpack
from .votes import Call, Cast, Close, Vote

VERSION: Final = 1
NIL: Final = UUID(int=0)
"""As a recipient: the coordinator."""
EVERYONE: Final = UUID(int=2**128 - 1)
"""As a recipient: everyone in the conversation."""

HEADER: Final = struct.Struct(">BB16s16s16sqHI")
COMPRESSED, ENCRYPTED, BATCH, PRIORITY, STREAMING, EXTENSION = (1 << bit for bit in range(6))
CODECS: Final = [Codec.GZIP, Codec.ZSTD, Codec.LZ4]

Control = Hello | Welcome | Heartbeat | Ack | Error | Credit | Goodbye | EmergencyStop
Payload = Control | TaskRequest | TaskResponse | StateUpdate | StateSync | Act | Vote | ProgressReport

PAYLOADS: Final[dict[Kind, Any]] = {
    Kind.HELLO: Hello,
    Kind.WELCOME: Welcome,
    Kind.HEARTBEAT: Heartbeat,
    Kind.ACK: Ack,
    Kind.ERROR: Error,
    Kind.CREDIT: Credit,
    Kind.GOODBYE: Goodbye,
    Kind.TASK_REQUEST: TaskRequest,
    Kind.TASK_RESPONSE: TaskResponse,
    Kind.STATE_UPDATE: StateUpdate,
    Kind.STATE_SYNC: StateSync,
    Kind.COORDINATION: Act,
    Kind.CONSENSUS_VOTE: Call | Cast | Close,
    Kind.PROGRESS_REPORT: ProgressReport,
    Kind.EMERGENCY_STOP: EmergencyStop,
}
_KINDS: Final = {one: kind for kind, payload in PAYLOADS.items() for one in getattr(payload, "__args__", (payload,))}


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One message."""

    payload: Payload
    sender: UUID = NIL
    recipient: UUID = NIL
    conversation: UUID = NIL
    timestamp_ns: int = 0
    priority: bool = False
    streaming: bool = False
    extension: Extension = Extension()

    @property
    def kind(self) -> Kind:
        """What the message is for."""
        return _KINDS[type(self.payload)]

    @property
    def time_left_s(self) -> float | None:
        """Seconds from sending to the deadline, by the sender's clock alone."""
        deadline = self.extension.deadline_ns
        return None if deadline is None else (deadline - self.timestamp_ns) / 1e9


@dataclass(frozen=True, slots=True)
class Header:
    """The first 64 bytes of a frame."""

    kind: Kind
    sender: UUID
    recipient: UUID
    conversation: UUID
    timestamp_ns: int
    flags: int
    payload_size: int


def encode(frame: Frame, codec: Codec | None = None, most: FrameLimits = FrameLimits()) -> bytes:
    """Encodes one message, compressed by the codec where that is worth it."""
    word = frame.kind.name.lower()
    payload = pack(checked(PAYLOADS[frame.kind], frame.payload, word), most)
    if len(payload) > most.inflated_bytes:
        raise _too_large("payload", len(payload), most.inflated_bytes)
    block = write_block(frame.extension)
    flags = PRIORITY * frame.priority | STREAMING * frame.streaming | (EXTENSION if block else 0)
    flags, payload = _deflated(flags, payload, codec)
    return _head(frame, flags, len(block) + len(payload), most) + block + payload


def encode_batch(frames: list[Frame], codec: Codec | None = None, most: FrameLimits = FrameLimits()) -> bytes:
    """Encodes messages as one batch, compressed by the codec as a whole where that is worth it."""
    if not 1 <= len(frames) <= limits.BATCH_MESSAGES:
        raise ProtocolError(Code.TOO_LARGE, "batch", f"{len(frames)} messages", f"send 1 to {limits.BATCH_MESSAGES}")
    body = len(frames).to_bytes(4, "big")
    for frame in frames:
        message = encode(frame, None, most)
        body += len(message).to_bytes(4, "big") + message
    first = frames[0]
    flags = BATCH | PRIORITY * first.priority | STREAMING * first.streaming
    flags, body = _deflated(flags, body, codec)
    return _head(first, flags, len(body), most) + body


def decode_header(data: bytes, most: FrameLimits = FrameLimits()) -> Header:
    """Decodes the header of a frame and checks its size."""
    if len(data) < HEADER.size:
        raise _invalid("header", f"{len(data)} bytes", f"send a header of {HEADER.size} bytes")
    version, kind, sender, recipient, conversation, timestamp, flags, size = HEADER.unpack_from(data)
    if version != VERSION:
        raise ProtocolError(Code.NOT_SUPPORTED, "version", f"{version}", f"speak version {VERSION}")
    if kind not in Kind._value2member_map_:
        raise ProtocolError(Code.NOT_SUPPORTED, "type", f"{kind:#04x} is no known kind", "send kinds of this version")
    if flags & (ENCRYPTED | 1 << 6 | 1 << 7):
        raise ProtocolError(Code.NOT_SUPPORTED, "flags", f"{flags:#06x} has an unknown bit", "set bits 0 and 2 to 5 only")
    if size > most.payload_bytes:
        raise _too_large("payload_size", size, most.payload_bytes)
    if size != len(data) - HEADER.size:
        raise _invalid("payload_size", f"it says {size} bytes, and {len(data) - HEADER.size} follow", "count what is sent")
    return Header(Kind(kind), UUID(bytes=sender), UUID(bytes=recipient), UUID(bytes=conversation), timestamp, flags, size)


def decode(data: bytes, most: FrameLimits = FrameLimits()) -> list[Frame]:
    """Decodes a frame: one message, or all of a batch."""
    header = decode_header(data, most)
    body, count = data[HEADER.size :], Count(most)
    if not header.flags & BATCH:
        return [_message(header, body, count)]
    if header.flags & EXTENSION:
        raise _invalid("batch", "it has an extension block", "give each message its own")
    return _batch(_inflated(header, body, most), count)


def to_text(frame: Frame) -> str:
    """Writes one message as a JSON text."""
    word = frame.kind.name.lower()
    fields_ = {"type": word, "payload": checked(PAYLOADS[frame.kind], frame.payload, word)}
    for name, empty in _MARKS.items():
        if getattr(frame, name) != empty:
            fields_[name] = getattr(frame, name)
    extension = to_words(frame.extension)
    return to_json(fields_ | ({"extension": extension} if extension else {}))


def from_text(text: str, most: FrameLimits = FrameLimits()) -> Frame:
    """Reads one message from a JSON text."""
    found = from_json(text, most)
    if not isinstance(found, dict) or not {"type", "payload"} <= found.keys():
        raise _invalid("frame", "it is no object with type and payload", "send both")
    word = found["type"]
    if not isinstance(word, str) or not word.islower() or word.upper() not in Kind.__members__:
        raise ProtocolError(Code.NOT_SUPPORTED, "type", f"{word!r} is no known kind", "send kinds of this version")
    kind = Kind[word.upper()]
    marks = {name: read(_MARK_TYPES[name], found[name], name) for name in _MARKS if name in found}
    extension = from_words(read(dict[str, Value], found.get("extension", {}), "extension"))
    return Frame(payload=read(PAYLOADS[kind], found["payload"], word), extension=extension, **marks)


_MARKS: Final[dict[str, Any]] = {
    "sender": NIL,
    "recipient": NIL,
    "conversation": NIL,
    "timestamp_ns": 0,
    "priority": False,
    "streaming": False,
}
_MARK_TYPES: Final[dict[str, Any]] = dict(zip(_MARKS, (UUID, UUID, UUID, I64, bool, bool), strict=True))


def named(data: str | bytes) -> tuple[Kind | None, UUID | None]:
    """The kind and the id of a message that could not be decoded, where as much as that can be read."""
    kind, message = None, None
    try:
        if isinstance(data, bytes):
            header = decode_header(data, FrameLimits(payload_bytes=len(data)))
            kind = header.kind
            if header.flags & (EXTENSION | BATCH) == EXTENSION:
                message = read_block(split_block(data[HEADER.size :])[0]).message_id
        else:
            found = from_json(data, FrameLimits())
            kind = Kind.__members__.get(found["type"].upper())
            message = from_words({"message_id": found["extension"]["message_id"]}).message_id
    except (ProtocolError, KeyError, TypeError, AttributeError):
        pass
    return kind, message


def _head(frame: Frame, flags: int, size: int, most: FrameLimits) -> bytes:
    if size > most.payload_bytes:
        raise _too_large("payload_size", size, most.payload_bytes)
    ids = (frame.sender.bytes, frame.recipient.bytes, frame.conversation.bytes)
    return HEADER.pack(VERSION, frame.kind, *ids, frame.timestamp_ns, flags, size)


def _deflated(flags: int, body: bytes, codec: Codec | None) -> tuple[int, bytes]:
    small = None if codec is None else compress(body, codec)
    if codec is None or small is None:
        return flags, body
    return flags | COMPRESSED | CODECS.index(codec) << 8, small


def _inflated(header: Header, body: bytes, most: FrameLimits) -> bytes:
    if not header.flags & COMPRESSED:
        return body
    codec = header.flags >> 8 & 3
    if codec >= len(CODECS):
        raise ProtocolError(Code.NOT_SUPPORTED, "flags", "codec 3 is none", "compress with gzip")
    return inflate(body, CODECS[codec], most.inflated_bytes)


def _message(header: Header, body: bytes, count: Count) -> Frame:
    block = b""
    if header.flags & EXTENSION:
        block, body = split_block(body)
    plain = unpack(_inflated(header, body, count.limits), count)
    return Frame(
        payload=read(PAYLOADS[header.kind], plain, header.kind.name.lower()),
        sender=header.sender,
        recipient=header.recipient,
        conversation=header.conversation,
        timestamp_ns=header.timestamp_ns,
        priority=bool(header.flags & PRIORITY),
        streaming=bool(header.flags & STREAMING),
        extension=read_block(block),
    )


def _batch(body: bytes, count: Count) -> list[Frame]:
    messages, frames, at = int.from_bytes(body[:4], "big"), [], 4
    if len(body) < 4 or not 1 <= messages <= limits.BATCH_MESSAGES:
        raise _invalid("batch", f"{messages} messages", f"send 1 to {limits.BATCH_MESSAGES}")
    for _ in range(messages):
        length = int.from_bytes(body[at : at + 4], "big")
        message = body[at + 4 : at + 4 + length]
        header = decode_header(message, count.limits)
        if header.flags & (BATCH | COMPRESSED):
            raise _invalid("batch", "a message of it is a batch or compressed", "put plain messages into it")
        frames.append(_message(header, message[HEADER.size :], count))
        at += 4 + length
    if at != len(body):
        raise _invalid("batch", f"{len(body) - at} bytes follow its messages", "count what is sent")
    return frames


def _invalid(where: str, what: str, advice: str) -> ProtocolError:
    return ProtocolError(Code.INVALID, where, what, advice)


def _too_large(where: str, size: int, most: int) -> ProtocolError:
    return ProtocolError(Code.TOO_LARGE, where, f"{size} bytes, and {most} are the limit", "send less in one message")
