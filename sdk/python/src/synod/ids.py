"""Identities of messages: UUIDs of version 7, which sort by the time they were made."""

import secrets
import time
from uuid import UUID


def uuid7() -> UUID:
    """A new identity: 48 bits of Unix milliseconds, then random bits."""
    number = (time.time_ns() // 1_000_000 & (1 << 48) - 1) << 80 | secrets.randbits(80)
    return UUID(int=number & ~(0xF << 76) & ~(0x3 << 62) | 7 << 76 | 2 << 62)
