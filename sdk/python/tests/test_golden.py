"""Every golden frame decodes to its meaning, and encodes to the same bytes where the document makes them unique."""

import json
from pathlib import Path
from typing import Any

import pytest

from synod.frame import (
    BATCH,
    COMPRESSED,
    PAYLOADS,
    Frame,
    decode,
    decode_header,
    encode,
    encode_batch,
    from_text,
    to_text,
)
from synod.schema import checked

GOLDEN = Path(__file__).parents[3] / "tests" / "golden"
FILES = sorted(GOLDEN.glob("*.bin"))


def meaning(frame: Frame) -> dict[str, Any]:
    """What a message means, as the JSON files say it: a text frame with all fields of the header."""
    text = json.loads(to_text(frame))
    ids = {name: str(getattr(frame, name)) for name in ("sender", "recipient", "conversation")}
    return text | ids | {"timestamp_ns": frame.timestamp_ns}


def of_wire(wanted: Any) -> Any:
    """The wanted meaning, without what only the bytes say."""
    if "batch" in wanted:
        return [of_wire(one) for one in wanted["batch"]]
    return {name: value for name, value in wanted.items() if name not in ("flags", "payload_size")}


def test_there_are_golden_frames_of_every_kind() -> None:
    kinds = {frame.kind for file in FILES for frame in decode(file.read_bytes())}
    assert kinds == set(PAYLOADS)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_golden_frame_decodes_to_its_meaning(file: Path) -> None:
    data, wanted = file.read_bytes(), json.loads(file.with_suffix(".json").read_text())
    header, frames = decode_header(data), decode(data)
    found = [meaning(frame) for frame in frames]
    assert (found if "batch" in wanted else found[0]) == of_wire(wanted)
    assert (header.flags, header.payload_size) == (wanted["flags"], wanted["payload_size"])


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_golden_frame_encodes_to_the_same_bytes(file: Path) -> None:
    data = file.read_bytes()
    frames, flags = decode(data), decode_header(data).flags
    again = encode_batch(frames) if flags & BATCH else encode(frames[0])
    if flags & COMPRESSED:
        assert decode(again) == frames
    else:
        assert again == data


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_text_frame_says_the_same(file: Path) -> None:
    for frame in decode(file.read_bytes()):
        assert from_text(to_text(frame)) == frame
        assert checked(PAYLOADS[frame.kind], frame.payload, "payload")


def test_the_examples_of_the_document_are_text_frames() -> None:
    document = (GOLDEN.parents[1] / "docs" / "PROTOCOL.md").read_text()
    examples = [block.split("```")[0] for block in document.split("```json\n")[1:]]
    assert len(examples) > 20
    for example in examples:
        frame = from_text(example)
        assert decode(encode(frame)) == [frame]
