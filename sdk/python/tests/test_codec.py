"""The codec alone: what is refused and how, compression, numbers at their edges."""

import random
import struct
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from synod.compress import INSTALLED, compress, inflate
from synod.errors import Code, ProtocolError
from synod.extension import Extension, Performative
from synod.frame import (
    COMPRESSED,
    Frame,
    decode,
    decode_header,
    encode,
    encode_batch,
    from_text,
    to_text,
)
from synod.payload import Ack, Codec, Credit, Do, Heartbeat, Task
from synod.shared import Broadcast

GOLDEN = sorted((Path(__file__).parents[3] / "tests" / "golden").glob("*.bin"))
VECTOR = "013100000000000000000000000000000001000000000000000000000000000000020000000000000000000000000000000317979cfe362a0000000100000005"


def says(content: Any) -> Frame:
    return Frame(payload=Broadcast(content=content))


def refused(data: bytes | str) -> ProtocolError:
    with pytest.raises(ProtocolError) as raised:
        decode(data) if isinstance(data, bytes) else from_text(data)
    assert raised.value.where and raised.value.what and raised.value.advice
    return raised.value


def with_block(block: bytes, size: int | None = None) -> bytes:
    """A heartbeat with these bytes as its extension block."""
    body = struct.pack(">H", len(block) if size is None else size) + block + b"\x80"
    return struct.pack(">BB16s16s16sqHI", 1, 3, *[bytes(16)] * 3, 0, 32, len(body)) + body


def test_the_header_of_the_document() -> None:
    header = decode_header(bytes.fromhex(VECTOR) + bytes(5))
    assert (header.kind, header.sender, header.recipient, header.conversation) == (0x31, *(UUID(int=n) for n in (1, 2, 3)))
    assert (header.timestamp_ns, header.flags, header.payload_size) == (1_700_000_000_000_000_000, 1, 5)


@pytest.mark.parametrize("codec", [Codec.GZIP, *INSTALLED], ids=lambda codec: codec.value)
def test_a_payload_is_compressed_only_where_it_is_worth_it(codec: Codec) -> None:
    frame = says([f"line {number} of a long text" for number in range(200)])
    data = encode(frame, codec)
    assert len(data) < len(encode(frame)) and decode_header(data).flags & COMPRESSED
    assert decode(data) == [frame]
    assert compress(b"ab" * 512, codec) is None
    assert compress(b"a" * 200_000, codec) is None
    assert compress(random.Random(1).randbytes(5_000), codec) is None
    assert decode(encode_batch([frame, frame], codec)) == [frame, frame]


@pytest.mark.parametrize("codec", [Codec.GZIP, *INSTALLED], ids=lambda codec: codec.value)
def test_compressed_data_is_whole_alone_and_within_its_limits(codec: Codec) -> None:
    payload = b"".join(b"line %d of a long text" % number for number in range(2_000))
    small = compress(payload, codec)
    assert small is not None and inflate(small, codec, len(payload)) == payload
    for broken in (small[:-1], small + b"\x00", small + small, b"", small[:10]):
        with pytest.raises(ProtocolError):
            inflate(broken, codec, 100_000)
    with pytest.raises(ProtocolError) as raised:
        inflate(small, codec, len(payload) - 1)
    assert raised.value.code is Code.TOO_LARGE


def test_a_bomb_is_refused() -> None:
    import gzip

    bomb = gzip.compress(b"\x00" * 5_000_000)
    assert len(bomb) * 100 < 5_000_000
    with pytest.raises(ProtocolError, match="inflates to more"):
        inflate(bomb, Codec.GZIP, 10_485_760)


def test_a_codec_that_was_not_offered_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("synod.compress.INSTALLED", [])
    assert refused(struct.pack(">BB16s16s16sqHI", 1, 3, *[bytes(16)] * 3, 0, 0x101, 1) + b"a").code is Code.NOT_SUPPORTED
    assert refused(struct.pack(">BB16s16s16sqHI", 1, 3, *[bytes(16)] * 3, 0, 0x301, 1) + b"a").code is Code.NOT_SUPPORTED


def test_every_field_of_the_extension_comes_back() -> None:
    extension = Extension(
        message_id=UUID(int=1),
        in_reply_to=UUID(int=2),
        traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        deadline_ns=-5,
        idempotency_key="ä" * 64,
        performative=Performative.CFP,
    )
    frame = Frame(payload=Heartbeat(), extension=extension, timestamp_ns=-(2**63))
    assert decode(encode(frame)) == [frame]
    assert from_text(to_text(frame)) == frame


def test_wrong_extensions_are_refused_and_unknown_fields_skipped() -> None:
    ours = bytes([1, 16]) + bytes(16)
    assert decode(with_block(ours + b"\x63\x01x"))[0].extension == Extension(message_id=UUID(int=0))
    wrong = [ours + ours, b"\x02\x10" + bytes(16) + ours, b"\x01\x0f" + bytes(15), b"\x01", b"\x05\x00", b"\x05\x81" + b"k" * 129]
    wrong += [b"\x06\x01\x00", b"\x06\x01\x0c", b"\x03\x19" + bytes(25), b"\x05\x01\xff", b"\x04\x07" + bytes(7)]
    for block in wrong:
        refused(with_block(block))
    refused(with_block(b"", 500))
    assert refused(with_block((b"\x63\xfd" + bytes(253)) + b"\x64\xfd" + bytes(253) + b"\x65\x05" + bytes(5))).code is Code.TOO_LARGE
    for trace in ("01-" + "1" * 32 + "-" + "1" * 16 + "-01", "00-" + "0" * 32 + "-" + "1" * 16 + "-01", "00-1-1-1", ""):
        with pytest.raises(ProtocolError):
            encode(Frame(payload=Heartbeat(), extension=Extension(traceparent=trace)))


def test_depth_and_values_have_their_limits() -> None:
    def nested(depth: int) -> Any:
        return [nested(depth - 1)] if depth else 1

    assert decode(encode(says(nested(62))))
    for depth in (63, 500):
        with pytest.raises(ProtocolError) as raised:
            encode(says(nested(depth)))
        assert raised.value.code is Code.TOO_LARGE
    # the payload's map counts two, its key one, the broadcast's map two, its key one, the list one
    assert decode(encode(says([None] * (65_536 - 7))))
    with pytest.raises(ProtocolError, match="65536 values"):
        encode(says([None] * (65_536 - 6)))
    half = says([None] * 32_768)
    assert refused(encode_batch([half, half])).code is Code.TOO_LARGE


def test_values_are_plain() -> None:
    for value in (b"binary", float("nan"), 2**64, -(2**63) - 1, {1: 2}, "\ud800", object()):
        with pytest.raises(ProtocolError):
            encode(says(value))
    for value in (2**64 - 1, -(2**63), 1.5, True, None, "", {"a": [{}]}, (1, 2)):
        frame = decode(encode(says(value)))[0]
        assert frame.payload == Broadcast(content=list(value) if isinstance(value, tuple) else value)


def test_names_texts_and_lists_have_their_limits() -> None:
    def task(**fields: Any) -> Frame:
        base: dict[str, Any] = {"id": UUID(int=1), "run": UUID(int=2), "type": "t"}
        return Frame(payload=Do(task=Task(**base | fields), fence=1))

    assert decode(encode(task(type="ä" * 128, needs=["n"] * 256)))
    for fields in ({"type": "ä" * 129}, {"type": ""}, {"type": "a\nb"}, {"needs": ["n"] * 257}, {"labels": {str(n): "v" for n in range(65)}}):
        with pytest.raises(ProtocolError, match="task_request.do.task"):
            encode(task(**fields))
    with pytest.raises(ProtocolError):
        encode(Frame(payload=Ack(messages=[UUID(int=1)] * 1_025)))


def test_unknown_fields_are_skipped_and_unknown_variants_refused() -> None:
    assert from_text('{"type": "credit", "payload": {"messages_total": 1, "new": [1]}, "also": 2}').payload == Credit(messages_total=1)
    assert refused('{"type": "goodbye", "payload": {"reason": "bored"}}').code is Code.INVALID
    assert refused('{"type": "emergency_stop", "payload": {"scope": {"planet": 1}, "reason": "x"}}').code is Code.NOT_SUPPORTED
    assert refused('{"type": "credit", "payload": {"messages_total": NaN}}').code is Code.INVALID
    assert refused('{"type": "CREDIT", "payload": {"messages_total": 1}}').code is Code.NOT_SUPPORTED
    assert refused('{"type": "credit", "payload": {"messages_total": 1}, "extension": {"performative": "sing"}}').code is Code.NOT_SUPPORTED


def test_batches_are_all_or_nothing() -> None:
    good = encode(Frame(payload=Heartbeat(sequence=1)))
    inner = encode_batch([Frame(payload=Heartbeat())])

    def batch(count: int, messages: list[bytes], rest: bytes = b"", flags: int = 4) -> bytes:
        body = struct.pack(">I", count) + b"".join(struct.pack(">I", len(one)) + one for one in messages) + rest
        return struct.pack(">BB16s16s16sqHI", 1, 3, *[bytes(16)] * 3, 0, flags, len(body)) + body

    assert len(decode(batch(2, [good, good]))) == 2
    for wrong in (batch(0, []), batch(2, [good]), batch(1, [good], b"x"), batch(1, [inner]), batch(1_025, [good] * 1_025)):
        refused(wrong)
    refused(batch(1, [good], flags=4 | 32))
    refused(batch(2, [good, good[:-1]]))


def test_any_bytes_decode_or_are_refused() -> None:
    dice = random.Random(7)
    for file in GOLDEN:
        data = file.read_bytes()
        for _ in range(150):
            broken = bytearray(data)
            for _ in range(dice.randint(1, 4)):
                broken[dice.randrange(len(broken))] = dice.randrange(256)
            cut = bytes(broken[: dice.randrange(len(broken))]) if dice.random() < 0.2 else bytes(broken)
            try:
                decode(cut)
            except ProtocolError as error:
                assert error.code in (100, 101, 102)


def test_any_text_decodes_or_is_refused() -> None:
    dice = random.Random(8)
    for file in GOLDEN:
        for frame in decode(file.read_bytes()):
            text = to_text(frame)
            for _ in range(60):
                at = dice.randrange(len(text))
                broken = text[:at] + dice.choice(['"', "{", "}", "[", "null", "-1", "1e400", "", "\\ud800", "é"]) + text[at + dice.randint(0, 4) :]
                try:
                    from_text(broken)
                except ProtocolError as error:
                    assert error.code in (100, 101, 102)
