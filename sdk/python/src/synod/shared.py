"""The payloads of conversations, events and shared state, as dataclasses with the names of docs/PROTOCOL.md."""

from dataclasses import dataclass, field
from typing import Annotated, ClassVar
from uuid import UUID

from . import limits
from .payload import Uuids
from .schema import I64, U32, U64, Labels, Name, Names, Range, Size, Text, Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """What was seen of one writer."""

    slot: U32
    epoch: U32
    counter: Annotated[int, Range(1, limits.U64_MAX)]


Clock = Annotated[list[Tick], Size(0, limits.CLOCK_ENTRIES)]

# --- conversations and events


@dataclass(frozen=True, slots=True, kw_only=True)
class Tell:
    """Says something to one member."""

    TAG: ClassVar = "tell"
    topic: Name | None = None
    content: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Asks one member."""

    TAG: ClassVar = "ask"
    topic: Name | None = None
    content: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Answers an ask."""

    TAG: ClassVar = "answer"
    topic: Name | None = None
    content: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Broadcast:
    """Says something to every member."""

    TAG: ClassVar = "broadcast"
    topic: Name | None = None
    content: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """Opens a conversation."""

    TAG: ClassVar = "open"
    topic: Name | None = None
    members: Annotated[Uuids, Size(0, limits.MEMBERS)]
    messages_max: U64 | None = None
    lasts_ms: U64 | None = None


@dataclass(frozen=True, slots=True)
class Join:
    """Joins a conversation."""

    TAG: ClassVar = "join"


@dataclass(frozen=True, slots=True)
class Leave:
    """Leaves a conversation."""

    TAG: ClassVar = "leave"


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """Ends a conversation for all."""

    TAG: ClassVar = "end"
    reason: Text = ""


@dataclass(frozen=True, slots=True)
class ToRun:
    """For those who follow the event's run."""

    TAG: ClassVar = "run"


@dataclass(frozen=True, slots=True)
class ToActor:
    """For one actor or agent."""

    TAG: ClassVar = "actor"
    NEWTYPE: ClassVar = True
    id: UUID


@dataclass(frozen=True, slots=True)
class ToName:
    """For those of a name and all below it."""

    TAG: ClassVar = "name"
    NEWTYPE: ClassVar = True
    name: Name


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened."""

    TAG: ClassVar = "event"
    id: UUID
    type: Name
    source: Name
    target: ToRun | ToActor | ToName | None = None
    run: UUID | None = None
    data: Value = None
    published_at: I64 | None = None
    coordinator_id: UUID | None = None
    clock: Clock = field(default_factory=list)
    metadata: Labels = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscribe:
    """Wants events of these types."""

    TAG: ClassVar = "subscribe"
    types: Names


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsubscribe:
    """Wants no more events of these types."""

    TAG: ClassVar = "unsubscribe"
    types: Names


Act = Tell | Ask | Answer | Broadcast | Open | Join | Leave | End | Event | Subscribe | Unsubscribe

# --- shared state


@dataclass(frozen=True, slots=True, kw_only=True)
class Increment:
    """Counts up."""

    TAG: ClassVar = "increment"
    by: U64


@dataclass(frozen=True, slots=True, kw_only=True)
class Decrement:
    """Counts down."""

    TAG: ClassVar = "decrement"
    by: U64


@dataclass(frozen=True, slots=True, kw_only=True)
class Add:
    """Adds an element to a set."""

    TAG: ClassVar = "add"
    element: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Remove:
    """Removes an element, as far as the writer has seen it added."""

    TAG: ClassVar = "remove"
    element: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Set:
    """Sets a value."""

    TAG: ClassVar = "set"
    value: Value


@dataclass(frozen=True, slots=True)
class Unset:
    """Unsets a value."""

    TAG: ClassVar = "unset"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change of a document."""

    key: Name
    operation: Increment | Decrement | Add | Remove | Set | Unset
    clock: Clock = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class StateUpdate:
    """Changes shared state: all of the changes, or none."""

    document: Name
    changes: Annotated[list[Change], Size(1, limits.CHANGES)]
    expected_version: U64 | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """Asks for the value, for every change from here on, or for the agent's own part."""

    TAG: ClassVar = "read"
    keys: Names = field(default_factory=list)
    follow: bool = False
    own: bool = False


@dataclass(frozen=True, slots=True)
class Unfollow:
    """Wants no more changes."""

    TAG: ClassVar = "unfollow"


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The value."""

    TAG: ClassVar = "snapshot"
    value: Value
    version: U64
    clock: Clock = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """An update was applied."""

    TAG: ClassVar = "applied"
    version: U64
    clock: Clock = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """An update met another version, and nothing was changed."""

    TAG: ClassVar = "conflict"
    version: U64
    current: Value
    refused: Value
    ticket: U64 | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """A replica tells what it has."""

    TAG: ClassVar = "digest"
    clock: Clock
    hash: U64


@dataclass(frozen=True, slots=True, kw_only=True)
class Pull:
    """A replica asks for what it lacks."""

    TAG: ClassVar = "pull"
    clock: Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """A replica sends a delta."""

    TAG: ClassVar = "push"
    from_: Clock
    to: Clock
    delta: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Full:
    """A replica sends everything."""

    TAG: ClassVar = "full"
    clock: Clock
    state: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class StateSync:
    """Reads, follows and reconciles shared state."""

    document: Name
    step: Read | Unfollow | Snapshot | Applied | Conflict | Digest | Pull | Push | Full
