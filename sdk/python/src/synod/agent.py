"""What a user writes: an agent is a coroutine function for tasks, and perhaps others for votes, asks and events."""

import inspect
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from .extension import Performative
from .ids import uuid7
from .payload import Card, HourPrice, Task, TaskPrice, TokenPrice
from .schema import checked
from .shared import Event
from .votes import Abstain, Call, Close, Evidence, Form, One, Ranking, Several

if TYPE_CHECKING:
    from .context import Context, TaskContext

Handler = TypeVar("Handler")
TaskHandler = Callable[[Task, "TaskContext"], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Ballot:
    """What a voter answers: a choice, a list of them as the vote's form asks, or `None` to abstain."""

    choice: str | Sequence[str] | None
    confidence: float = 1.0
    reasoning: str = ""
    evidence: Sequence[Evidence] = ()

    def cast(self, call: Call) -> One | Several | Ranking | Abstain:
        """The choice in the form that the vote asks for."""
        if self.choice is None:
            return Abstain()
        chosen = [self.choice] if isinstance(self.choice, str) else list(self.choice)
        given: One | Several | Ranking
        if isinstance(self.choice, str):
            given = One(self.choice)
        else:
            given = Ranking(chosen) if call.form is Form.RANKING else Several(chosen)
        foreign = [choice for choice in chosen if choice not in call.choices]
        if given.TAG != call.form.value or foreign:
            asked = f"{call.form.value} of {', '.join(call.choices)}"
            raise ValueError(f"the ballot {self.choice!r} does not fit the vote {call.question!r}: give {asked}, or None")
        return given


@dataclass(frozen=True, slots=True)
class Said:
    """What another member of a conversation says."""

    content: Any
    sender: UUID
    topic: str | None = None
    conversation: UUID = UUID(int=0)
    performative: Performative | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What a handler of asks may return to say more than the content."""

    content: Any
    performative: Performative | None = None
    topic: str | None = None


VoteHandler = Callable[[Call, "Context"], Awaitable[Ballot]]
CloseHandler = Callable[[Close, "Context"], Awaitable[None]]
AskHandler = Callable[[Said, "Context"], Awaitable[Any]]
TellHandler = Callable[[Said, "Context"], Awaitable[None]]
EventHandler = Callable[[Event, "Context"], Awaitable[None]]


@dataclass(slots=True)
class Agent:
    """An agent: its card and its handlers. Made by `agent`."""

    card: Card
    handler: TaskHandler
    voter: VoteHandler | None = None
    closer: CloseHandler | None = None
    asker: AskHandler | None = None
    teller: TellHandler | None = None
    events: dict[str, EventHandler] = field(default_factory=dict)

    def vote(self, handler: VoteHandler) -> VoteHandler:
        """Decorates the coroutine function that answers the calls of votes."""
        self.voter = _coroutine(handler)
        return handler

    def decided(self, handler: CloseHandler) -> CloseHandler:
        """Decorates the coroutine function that is told how votes ended."""
        self.closer = _coroutine(handler)
        return handler

    def asked(self, handler: AskHandler) -> AskHandler:
        """Decorates the coroutine function that answers asks: it returns the content, or a `Reply`."""
        self.asker = _coroutine(handler)
        return handler

    def told(self, handler: TellHandler) -> TellHandler:
        """Decorates the coroutine function that hears tells and broadcasts."""
        self.teller = _coroutine(handler)
        return handler

    def on(self, *types: str) -> Callable[[EventHandler], EventHandler]:
        """Decorates the coroutine function that handles events of these types."""

        def take(handler: EventHandler) -> EventHandler:
            self.events.update(dict.fromkeys(types, _coroutine(handler)))
            return handler

        return take


def agent(
    *,
    name: str | None = None,
    capabilities: Sequence[str] = (),
    concurrency: int = 1,
    id: UUID | None = None,
    version: str | None = None,
    role: str | None = None,
    specialisation: str | None = None,
    prices: Sequence[TaskPrice | HourPrice | TokenPrice] = (),
    labels: dict[str, str] | None = None,
) -> Callable[[TaskHandler], Agent]:
    """Makes an agent of a coroutine function `(task, cx)` whose result is the task's output.

    Without an `id` each process is an agent of its own.
    Raises `ProtocolError` where the card breaks a rule, such as that of names.
    """

    def make(handler: TaskHandler) -> Agent:
        card = Card(
            id=id or uuid7(),
            name=name or str(getattr(handler, "__name__", "agent")),
            version=version,
            role=role,
            specialisation=specialisation,
            capabilities=list(capabilities),
            prices=list(prices),
            concurrency=concurrency,
            labels=labels or {},
        )
        checked(Card, card, "card")
        return Agent(card, _coroutine(handler))

    return make


def _coroutine(handler: Handler) -> Handler:
    is_one: bool = inspect.iscoroutinefunction(handler)
    if not is_one:
        raise TypeError(f"{handler!r} is no coroutine function: define it by `async def`, and let blocking work run in asyncio.to_thread")
    return handler
