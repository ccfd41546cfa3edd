"""Compresses and inflates payloads; gzip is always there, zstd and lz4 where their packages are installed."""

import struct
import zlib
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any, Final

from . import limits
from .errors import Code, ProtocolError
from .payload import Codec


def _module(name: str) -> ModuleType | None:
    try:
        return import_module(name)
    except ImportError:
        return None


_zstd: Final[Any] = _module("zstandard")
_lz4: Final[Any] = _module("lz4.block")

INSTALLED: Final = [codec for codec, there in ((Codec.ZSTD, _zstd), (Codec.LZ4, _lz4)) if there is not None]
"""What this client inflates, beside gzip."""


def compress(payload: bytes, codec: Codec) -> bytes | None:
    """Compresses a payload, or tells by `None` that it goes as it is."""
    if len(payload) <= limits.COMPRESS_ABOVE_BYTES:
        return None
    small = _DEFLATE[codec](payload)
    worth = len(small) < len(payload) <= len(small) * limits.INFLATED_RATIO
    return small if worth else None


def inflate(data: bytes, codec: Codec, most: int) -> bytes:
    """Inflates a payload up to `most` bytes and a hundred times its size.

    Raises `ProtocolError` where it is larger, broken, followed by more bytes, or by a codec that is not there.
    """
    if codec is not Codec.GZIP and codec not in INSTALLED:
        raise ProtocolError(Code.NOT_SUPPORTED, "flags", f"{codec.value} was not offered", "compress with gzip")
    most = min(most, len(data) * limits.INFLATED_RATIO)
    try:
        inflated = _INFLATE[codec](data, most)
    except ProtocolError:
        raise
    except Exception as error:  # the packages raise errors of their own
        raise _broken(codec, str(error)) from None
    if len(inflated) > most:
        raise _too_large(most)
    return inflated


def _gzip(payload: bytes) -> bytes:
    deflate = zlib.compressobj(wbits=31)
    return deflate.compress(payload) + deflate.flush()


def _gunzip(data: bytes, most: int) -> bytes:
    stream = zlib.decompressobj(wbits=31)
    inflated = stream.decompress(data, most + 1)
    if len(inflated) > most:
        raise _too_large(most)
    if not stream.eof or stream.unused_data:
        raise _broken(Codec.GZIP, "it is cut short or followed by more bytes")
    return inflated


def _to_zstd(payload: bytes) -> bytes:
    return bytes(_zstd.ZstdCompressor(write_content_size=True).compress(payload))


def _from_zstd(data: bytes, most: int) -> bytes:
    stream = _zstd.ZstdDecompressor(max_window_size=limits.ZSTD_WINDOW_BYTES).decompressobj(read_across_frames=False)
    inflated: bytes = b""
    for at in range(0, len(data), 1024):
        inflated += stream.decompress(data[at : at + 1024])
        if len(inflated) > most:
            raise _too_large(most)
        if stream.eof:
            rest = len(stream.unused_data) + len(data) - at - 1024
            if rest > 0 or stream.unused_data:
                raise _broken(Codec.ZSTD, "more bytes follow")
            return inflated
    raise _broken(Codec.ZSTD, "it is cut short")


def _to_lz4(payload: bytes) -> bytes:
    return bytes(_lz4.compress(payload, store_size=True))


def _from_lz4(data: bytes, most: int) -> bytes:
    (size,) = struct.unpack_from("<I", data)
    if size > most:
        raise _too_large(most)
    return bytes(_lz4.decompress(data[4:], uncompressed_size=size))


_DEFLATE: Final[dict[Codec, Callable[[bytes], bytes]]] = {Codec.GZIP: _gzip, Codec.ZSTD: _to_zstd, Codec.LZ4: _to_lz4}
_INFLATE: Final[dict[Codec, Callable[[bytes, int], bytes]]] = {Codec.GZIP: _gunzip, Codec.ZSTD: _from_zstd, Codec.LZ4: _from_lz4}


def _broken(codec: Codec, what: str) -> ProtocolError:
    return ProtocolError(Code.INVALID, "payload", f"it is not {codec.value}: {what}", "send it whole, and one stream only")


def _too_large(most: int) -> ProtocolError:
    return ProtocolError(Code.TOO_LARGE, "payload", f"it inflates to more than {most} bytes", "send less in one message")
