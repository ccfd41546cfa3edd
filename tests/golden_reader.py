"""Decodes every golden frame with struct and msgpack alone and compares it with the JSON beside it.

python3 -m pip install msgpack && python3 tests/golden_reader.py
"""

import gzip
import json
import struct
import sys
import uuid
from pathlib import Path

import msgpack

KINDS = {0x01: "hello", 0x02: "welcome", 0x03: "heartbeat", 0x04: "ack", 0x05: "error", 0x06: "credit", 0x07: "goodbye",
         0x10: "task_request", 0x11: "task_response", 0x20: "state_update", 0x21: "state_sync", 0x30: "coordination",
         0x31: "consensus_vote", 0x40: "progress_report", 0x50: "emergency_stop"}
ACTS = "request agree refuse inform failure cfp propose accept_proposal reject_proposal cancel not_understood".split()
FIELDS = {1: ("message_id", lambda v: plain(v)), 2: ("in_reply_to", lambda v: plain(v)),
          3: ("traceparent", lambda v: f"00-{v[:16].hex()}-{v[16:24].hex()}-{v[24:].hex()}"),
          4: ("deadline_ns", lambda v: struct.unpack(">q", v)[0]), 5: ("idempotency_key", lambda v: v.decode()),
          6: ("performative", lambda v: ACTS[v[0] - 1])}


def plain(value):
    """Turns binary values into the text that JSON holds: identities of 16 bytes, else hexadecimal digits."""
    if isinstance(value, bytes):
        return str(uuid.UUID(bytes=value)) if len(value) == 16 else value.hex()
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list) else value


def decode(frame):
    version, kind, sender, recipient, conversation, time, flags, size = struct.unpack(">BB16s16s16sqHI", frame[:64])
    assert version == 1 and size == len(frame) - 64 and flags & 0b1100_0010 == 0 and flags >> 8 == 0
    body, extension = frame[64:], {}
    if flags & 32:
        block, body = body[2:2 + int.from_bytes(body[:2], "big")], body[2 + int.from_bytes(body[:2], "big"):]
        while block:
            (name, read), value, block = FIELDS[block[0]], block[2:2 + block[1]], block[2 + block[1]:]
            extension[name] = read(value)
    body = gzip.decompress(body) if flags & 1 else body
    if flags & 4:
        count, messages, at = int.from_bytes(body[:4], "big"), [], 4
        while at < len(body):
            length = int.from_bytes(body[at:at + 4], "big")
            messages, at = messages + [decode(body[at + 4:at + 4 + length])], at + 4 + length
        assert count == len(messages) and at == len(body)
        return {"batch": messages, "flags": flags, "payload_size": size}
    marks = {name: True for bit, name in ((8, "priority"), (16, "streaming")) if flags & bit}
    return {"type": KINDS[kind], "sender": plain(sender), "recipient": plain(recipient), "timestamp_ns": time,
            "conversation": plain(conversation), "flags": flags, "payload_size": size, "payload": plain(msgpack.unpackb(body)),
            **marks, **({"extension": extension} if extension else {})}


files = sorted((Path(__file__).parent / "golden").glob("*.bin"))
wrong = [file.name for file in files if decode(file.read_bytes()) != json.loads(file.with_suffix(".json").read_text())]
sys.exit(f"differ: {wrong} of {len(files)}" if wrong or not files else None)
