"""MessagePack and JSON within the limits of a frame: any bytes become plain values or a `ProtocolError`."""

import json
from dataclasses import dataclass
from typing import Any, NoReturn
from uuid import UUID

import msgpack

from .errors import Code, ProtocolError
from .limits import FrameLimits


@dataclass(slots=True)
class Count:
    """Counts the values of a frame, over all messages of a batch."""

    limits: FrameLimits
    values: int = 0

    def check(self, value: Any, depth: int = 0) -> None:
        """Counts a value and all within it.

        Raises `ProtocolError` above the limit of values or depth, and where a map's key is no text.
        """
        if isinstance(value, (list, dict)) and depth >= self.limits.depth:
            raise _too_large(f"more than {self.limits.depth} arrays and maps within each other")
        self.values += 2 if isinstance(value, dict) else 1
        if self.values > self.limits.values:
            raise _too_large(f"more than {self.limits.values} values")
        if isinstance(value, list):
            for one in value:
                self.check(one, depth + 1)
        elif isinstance(value, dict):
            for key, one in value.items():
                if not isinstance(key, str):
                    raise _invalid(f"a key is a {type(key).__name__}", "use texts as keys")
                self.values += 1
                self.check(one, depth + 1)
        elif not (value is None or isinstance(value, (bool, int, float, str, bytes, UUID))):
            raise _invalid(f"a {type(value).__name__} is in it", "use no extension types")


def pack(value: Any, limits: FrameLimits) -> bytes:
    """Writes a value as MessagePack; identities become 16 bytes of binary."""
    Count(limits).check(value)
    try:
        return bytes(msgpack.packb(value, default=_identity))
    except (ValueError, OverflowError) as error:
        raise _invalid(str(error), "use texts of UTF-8 and numbers of 64 bits") from None


def unpack(data: bytes, count: Count) -> Any:
    """Reads one MessagePack value that fills the data."""
    most = count.limits.values
    try:
        value = msgpack.unpackb(data, raw=False, strict_map_key=False, max_array_len=most, max_map_len=most, max_ext_len=0)
    except (ValueError, TypeError, RecursionError, msgpack.exceptions.UnpackException) as error:
        if "exceeds max" in str(error):
            raise _too_large(f"more than {most} values") from None
        raise _invalid(f"it is no MessagePack ({error})", "send one map or one text with field names") from None
    count.check(value)
    return value


def to_json(value: Any) -> str:
    """Writes a value as JSON; identities become their text, binary data hexadecimal digits."""
    return json.dumps(value, default=_text, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def from_json(text: str, limits: FrameLimits) -> Any:
    """Reads one JSON value."""
    if len(text.encode("utf-8", "surrogatepass")) > limits.text_bytes:
        raise _too_large(f"the text frame has more than {limits.text_bytes} bytes")
    try:
        value = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise _invalid(f"it is no JSON ({error})", "send one JSON object") from None
    Count(limits).check(value)
    return value


def _identity(value: Any) -> bytes:
    if isinstance(value, UUID):
        return value.bytes
    raise _invalid(f"a {type(value).__name__} is in it", "use plain values")


def _text(value: Any) -> str:
    return str(value) if isinstance(value, UUID) else bytes(value).hex()


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number")


def _invalid(what: str, advice: str) -> ProtocolError:
    return ProtocolError(Code.INVALID, "payload", what, advice)


def _too_large(what: str) -> ProtocolError:
    return ProtocolError(Code.TOO_LARGE, "payload", what, "send less in one message")
