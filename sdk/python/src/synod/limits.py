"""The limits of the protocol and of this client, each with its unit.

The first part is the table of docs/PROTOCOL.md; the second is what the client adds where the document leaves a choice.
"""

from dataclasses import dataclass
from typing import Final

PAYLOAD_BYTES: Final = 1_048_576
INFLATED_BYTES: Final = 10_485_760
INFLATED_RATIO: Final = 100
COMPRESS_ABOVE_BYTES: Final = 1_024
TEXT_FRAME_BYTES: Final = 1_048_576
DEPTH: Final = 64
VALUES: Final = 65_536
BATCH_MESSAGES: Final = 1_024
EXTENSION_BYTES: Final = 512
IDEMPOTENCY_KEY_BYTES: Final = 128
NAME_BYTES: Final = 256
TEXT_BYTES: Final = 65_536
NAMES: Final = 256
LABELS: Final = 64
CONCURRENCY: Final = 65_536
MEMBERS: Final = 1_024
CHANGES: Final = 1_024
CLOCK_ENTRIES: Final = 1_024
CHOICES: Final = 256
EVIDENCE: Final = 64
PRICES: Final = 3
ACKS: Final = 1_024
REFUSAL_TEXT_BYTES: Final = 1_024
RETRY_AFTER_MS: Final = 1_000
RETRY_AFTER_MS_MAX: Final = 3_600_000
SILENT_HEARTBEATS: Final = 3
ZSTD_WINDOW_BYTES: Final = 2 * 1024 * 1024

U8_MAX: Final = 2**8 - 1
U32_MAX: Final = 2**32 - 1
U64_MAX: Final = 2**64 - 1
I64_MIN: Final = -(2**63)
I64_MAX: Final = 2**63 - 1

# --- of this client
SEEN_MESSAGES: Final = 8_192
"""Ids of received messages that are remembered, so that a repeated one is dropped."""
MESSAGE_BYTES: Final = 4 * PAYLOAD_BYTES
"""WebSocket messages up to this size are refused one by one where they are over a limit; a larger one ends the connection."""
CREDIT: Final = 64
"""Messages that the daemon may send ahead of being granted more."""
WAITING_TASKS_PER_SLOT: Final = 1
"""Tasks that may wait at the agent for each task that it does at once."""
WAITING_HANDLERS: Final = 256
"""Votes, asks, tells and events that are handled at once; more of them are refused."""
ENDED_TASKS: Final = 4_096
"""Tasks that have ended and are remembered, so that no assignment is done twice."""
VOTES: Final = 4_096
"""Votes whose ballots are counted; a vote that is closed is forgotten."""
WELCOME_S: Final = 10.0
"""How long a connection may take until it is welcomed, in seconds."""
BACKOFF_S: Final = 0.1
"""The longest wait before the first attempt to connect again, in seconds; it doubles with each further one."""
BACKOFF_S_MAX: Final = 10.0
"""The longest wait between two attempts to connect, in seconds."""
CANCEL_S: Final = 5.0
"""How long a handler may take to end after it was cancelled before its task is answered without it, in seconds."""
DRAIN_S: Final = 10.0
"""How long tasks in progress may go on after the agent was told to stop, in seconds."""


@dataclass(frozen=True, slots=True)
class FrameLimits:
    """What a receiver accepts at most in one frame."""

    payload_bytes: int = PAYLOAD_BYTES
    inflated_bytes: int = INFLATED_BYTES
    text_bytes: int = TEXT_FRAME_BYTES
    values: int = VALUES
    depth: int = DEPTH
