"""The payload of every kind of message, as dataclasses with the names of docs/PROTOCOL.md.

A field that may be absent has a default; an enum with fields is a union of dataclasses, whose `TAG` is the variant.
"""

from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import Annotated, ClassVar
from uuid import UUID

from . import limits
from .errors import Refused
from .schema import U8, U32, U64, Labels, Name, Names, Range, Share, Size, Text, Value

Uuids = list[UUID]


class Kind(IntEnum):
    """What a message is for."""

    HELLO = 0x01
    WELCOME = 0x02
    HEARTBEAT = 0x03
    ACK = 0x04
    ERROR = 0x05
    CREDIT = 0x06
    GOODBYE = 0x07
    TASK_REQUEST = 0x10
    TASK_RESPONSE = 0x11
    STATE_UPDATE = 0x20
    STATE_SYNC = 0x21
    COORDINATION = 0x30
    CONSENSUS_VOTE = 0x31
    PROGRESS_REPORT = 0x40
    EMERGENCY_STOP = 0x50

    @property
    def takes_credit(self) -> bool:
        """Whether a message of this kind counts against what the other side granted."""
        return Kind.TASK_REQUEST <= self <= Kind.PROGRESS_REPORT


class Codec(Enum):
    """How a payload is compressed."""

    GZIP = "gzip"
    ZSTD = "zstd"
    LZ4 = "lz4"


# --- the connection


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskPrice:
    """So much a task."""

    TAG: ClassVar = "task"
    usd_micros: U64


@dataclass(frozen=True, slots=True, kw_only=True)
class HourPrice:
    """So much an hour."""

    TAG: ClassVar = "hour"
    usd_micros: U64


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPrice:
    """So much a million tokens."""

    TAG: ClassVar = "million_tokens"
    in_usd_micros: U64
    out_usd_micros: U64


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What an agent is and can."""

    id: UUID
    name: Name
    version: Name | None = None
    role: Name | None = None
    specialisation: Name | None = None
    capabilities: Names = field(default_factory=list)
    prices: Annotated[list[TaskPrice | HourPrice | TokenPrice], Size(0, limits.PRICES)] = field(default_factory=list)
    concurrency: Annotated[int, Range(1, limits.CONCURRENCY)] = 1
    labels: Labels = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """Opens a connection."""

    versions: list[U8]
    token: Name | None = None
    card: Card
    incarnation: U64 = 0
    codecs: list[Codec] = field(default_factory=list)
    credit: U64 = 0
    resume: UUID | None = None
    unfinished: Uuids = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the sender of a welcome accepts at most."""

    payload_bytes: U64 = limits.PAYLOAD_BYTES
    inflated_bytes: U64 = limits.INFLATED_BYTES
    text_bytes: U64 = limits.TEXT_FRAME_BYTES
    values: U64 = limits.VALUES
    depth: U64 = limits.DEPTH


@dataclass(frozen=True, slots=True, kw_only=True)
class Welcome:
    """Accepts a connection."""

    version: U8
    session: UUID
    resumed: bool = False
    heartbeat_ms: Annotated[int, Range(1, limits.U32_MAX)]
    grace_ms: U32 = 0
    credit: U64 = 0
    codecs: list[Codec] = field(default_factory=list)
    limits: Limits = Limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """The sender is alive."""

    sequence: U64 = 0
    echo: U64 = 0
    active: U32 = 0
    queued: U32 = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ack:
    """Confirms messages."""

    messages: Annotated[Uuids, Size(0, limits.ACKS)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why something is refused."""

    code: Annotated[int, Range(0, limits.U32_MAX)]
    text: Annotated[str, Size(0, limits.TEXT_BYTES)] = ""
    retry_after_ms: U64 | None = None

    def error(self, about: str = "the connection") -> Refused:
        """The refusal as an error to raise."""
        return Refused(self.code, self.text, self.retry_after_ms, about)


@dataclass(frozen=True, slots=True, kw_only=True)
class Error:
    """Refuses a message, a task or the connection."""

    refusal: Refusal
    message: UUID | None = None
    task: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Credit:
    """Grants messages, as a total since the session began."""

    messages_total: U64


class Reason(Enum):
    """Why a connection ends."""

    DONE = "done"
    STOPPING = "stopping"
    RESTARTING = "restarting"
    FENCED = "fenced"
    SILENT = "silent"
    MISBEHAVED = "misbehaved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Goodbye:
    """The sender leaves or drains."""

    reason: Reason
    text: Text = ""
    drain_ms: U32 = 0


# --- work


class Priority(Enum):
    """How urgent a task is."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a task may use up."""

    tokens: U64 | None = None
    usd_micros: U64 | None = None
    wall_ms: U64 | None = None
    messages: U64 | None = None
    children: U64 | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """How large a task will be."""

    duration_ms: U64 | None = None
    complexity: Annotated[float, Range(0, float("inf"))] = 0.0
    data_bytes: U64 = 0
    cost_sensitive: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is to be done."""

    id: UUID
    run: UUID
    parent: UUID | None = None
    type: Name
    input: Value = None
    needs: Names = field(default_factory=list)
    priority: Priority = Priority.NORMAL
    deadline_ms: U64 | None = None
    budget: Budget | None = None
    estimate: Estimate | None = None
    labels: Labels = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Do:
    """Gives a task."""

    TAG: ClassVar = "do"
    task: Task
    fence: U64
    attempt: Annotated[int, Range(1, limits.U32_MAX)] = 1
    lease_ms: U64 | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """Takes a task back."""

    TAG: ClassVar = "cancel"
    task: UUID
    fence: U64
    reason: Text = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a task has used up."""

    tokens_in: U64 = 0
    tokens_out: U64 = 0
    usd_micros: U64 = 0
    wall_ms: U64 = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedPart:
    """A part that is missing in the output."""

    task: UUID
    name: Name | None = None
    refusal: Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """The task is done."""

    TAG: ClassVar = "completed"
    output: Value = None
    failed_parts: list[FailedPart] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Failed:
    """The task was tried and failed."""

    TAG: ClassVar = "failed"
    NEWTYPE: ClassVar = True
    refusal: Refusal


@dataclass(frozen=True, slots=True)
class TimedOut:
    """The task had no result in time; said of an agent, not by it."""

    TAG: ClassVar = "timed_out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled:
    """The task was taken back."""

    TAG: ClassVar = "cancelled"
    reason: Text = ""


@dataclass(frozen=True, slots=True)
class Rejected:
    """The task never started."""

    TAG: ClassVar = "rejected"
    NEWTYPE: ClassVar = True
    refusal: Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeLost:
    """The node that held the task is gone; said of an agent, not by it."""

    TAG: ClassVar = "node_lost"
    node: UUID


Outcome = Completed | Failed | TimedOut | Cancelled | Rejected | NodeLost


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskResponse:
    """Ends a task."""

    task: UUID
    fence: U64
    outcome: Outcome
    usage: Usage | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressReport:
    """How far a task is."""

    task: UUID
    fence: U64
    sequence: U64 = 0
    fraction: Share | None = None
    text: Text = ""
    milestone: Name | None = None
    partial: Value = None
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class Everything:
    """All work."""

    TAG: ClassVar = "everything"


@dataclass(frozen=True, slots=True)
class OfRun:
    """The work of one run."""

    TAG: ClassVar = "run"
    NEWTYPE: ClassVar = True
    id: UUID


@dataclass(frozen=True, slots=True)
class OfTask:
    """One task."""

    TAG: ClassVar = "task"
    NEWTYPE: ClassVar = True
    id: UUID


@dataclass(frozen=True, slots=True)
class OfAgent:
    """The work of one agent."""

    TAG: ClassVar = "agent"
    NEWTYPE: ClassVar = True
    id: UUID


@dataclass(frozen=True, slots=True)
class OfConversation:
    """One conversation."""

    TAG: ClassVar = "conversation"
    NEWTYPE: ClassVar = True
    id: UUID


Scope = Everything | OfRun | OfTask | OfAgent | OfConversation


@dataclass(frozen=True, slots=True, kw_only=True)
class EmergencyStop:
    """Stops work at once."""

    scope: Scope
    reason: Annotated[str, Size(1, limits.TEXT_BYTES)]
    grace_ms: U32 = 0


TaskRequest = Do | Cancel
