"""The payloads of votes, as dataclasses with the names of docs/PROTOCOL.md."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, ClassVar
from uuid import UUID

from . import limits
from .schema import U32, U64, Name, Share, Size, Text, Unique, Value


class Form(Enum):
    """What a ballot must hold."""

    ONE = "one"
    SET = "set"
    RANKING = "ranking"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Asks a voter for its ballot."""

    TAG: ClassVar = "call"
    id: UUID
    epoch: U32 = 0
    question: Text
    choices: Annotated[list[Name], Size(1, limits.CHOICES), Unique()]
    form: Form = Form.ONE
    revisable: bool = False
    context: Value = None


@dataclass(frozen=True, slots=True)
class One:
    """One choice."""

    TAG: ClassVar = "one"
    NEWTYPE: ClassVar = True
    choice: Name


@dataclass(frozen=True, slots=True)
class Several:
    """A set of choices."""

    TAG: ClassVar = "set"
    NEWTYPE: ClassVar = True
    choices: Annotated[list[Name], Size(0, limits.CHOICES), Unique()]


@dataclass(frozen=True, slots=True)
class Ranking:
    """Choices, the best first."""

    TAG: ClassVar = "ranking"
    NEWTYPE: ClassVar = True
    choices: Annotated[list[Name], Size(0, limits.CHOICES), Unique()]


@dataclass(frozen=True, slots=True)
class Abstain:
    """No choice."""

    TAG: ClassVar = "abstain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a ballot rests on."""

    title: Name
    location: Text | None = None
    value: Value = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """A ballot."""

    TAG: ClassVar = "cast"
    proposal: UUID
    voter: UUID
    epoch: U32 = 0
    sequence: U64 = 0
    choice: One | Several | Ranking | Abstain
    confidence: Share = 1.0
    reasoning: Text = ""
    evidence: Annotated[list[Evidence], Size(0, limits.EVIDENCE)] = field(default_factory=list)


class VoteOutcome(Enum):
    """How a vote ended."""

    CONSENSUS = "consensus"
    TIE_BROKEN = "tie_broken"
    NO_DECISION = "no_decision"
    INSUFFICIENT_PARTICIPATION = "insufficient_participation"
    VETOED = "vetoed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Close:
    """Tells the voters how the vote ended."""

    TAG: ClassVar = "close"
    proposal: UUID
    outcome: VoteOutcome
    choice: Name | None = None
    reasoning: Text = ""


Vote = Call | Cast | Close
