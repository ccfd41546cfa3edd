"""Runs an agent: joins its handlers to a connection, and ends both in order.

# Invariants
Every message is answered or handled without holding up the next one.
"""

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any
from uuid import UUID

from . import limits
from .agent import Agent, Reply, Said
from .connection import Connection, Where
from .context import Answers, Context
from .errors import Code, Refused, cut
from .extension import Extension
from .frame import Frame
from .payload import (
    Ack,
    Cancel,
    Do,
    EmergencyStop,
    Error,
    Everything,
    Goodbye,
    OfAgent,
    OfConversation,
    Reason,
    Refusal,
)
from .shared import Answer, Ask, Broadcast, Event, Subscribe, Tell
from .tasks import Tasks
from .votes import Call, Cast, Close

log = logging.getLogger("synod")


class Client:
    """One agent at one daemon."""

    def __init__(self, agent: Agent, *, url: str, token: str | None = None, incarnation: int = 0) -> None:
        self._agent, self.name = agent, agent.card.name
        self.connection = Connection(Where(url, token, agent.card, incarnation), self)
        self.answers: Answers = {}
        self._tasks = Tasks(agent, self)
        self._handlers: dict[asyncio.Task[None], Frame] = {}
        self._ballots: dict[UUID, int] = {}
        self._leaving: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Serves until the agent is stopped or the daemon ends.

        Raises `Refused`, `Fenced` or `Dismissed` where the daemon does not want this agent (any more).
        """
        try:
            await self.connection.run()
            if self._leaving is not None:
                await self._leaving
        finally:
            self._tasks.abandon()
            for handler in self._handlers:
                handler.cancel()

    def stop(self, drain_s: float = limits.DRAIN_S) -> None:
        """Takes no new tasks, lets those in progress end within the time, and leaves."""
        self._leave(drain_s, Goodbye(reason=Reason.STOPPING, drain_ms=int(drain_s * 1000)))

    # --- what the connection asks and tells

    def load(self) -> tuple[int, int]:
        """Tasks in progress, and tasks that wait."""
        return self._tasks.load()

    def unfinished(self) -> list[UUID]:
        """Tasks that are still worked on."""
        return self._tasks.unfinished()

    def leaves(self, drain_s: float) -> None:
        """The daemon ends for good after this time."""
        self._leave(drain_s, None)

    async def welcomed(self, goes_on: bool) -> None:
        """A session begins anew: what was of the old one is given up, and events are asked for again."""
        if goes_on:
            return
        self._tasks.forget()
        if self._agent.events:
            subscribe = self.connection.frame(Subscribe(types=list(self._agent.events)))
            self._start(self.connection.send(subscribe), subscribe)

    def refused(self, message: UUID, refusal: Refusal) -> None:
        """A message of ours was refused."""
        self._answer(message, refusal.error(f"message {message}"))

    def receives(self, frame: Frame) -> Ack | Error | None:
        """Takes a message, and says how to answer it."""
        message = frame.extension.message_id
        ack = None if message is None else Ack(messages=[message])
        match frame.payload:
            case Do() as do:
                refusal = self._tasks.give(frame, do)
                return ack if refusal is None else Error(refusal=refusal, message=message, task=do.task.id)
            case Cancel() as cancel:
                self._tasks.cancel(cancel)
                return ack
            case EmergencyStop() as stop:
                self._emergency(stop)
                return ack
            case Answer() as answer:
                if frame.extension.in_reply_to is not None:
                    self._answer(frame.extension.in_reply_to, _said(frame, answer))
                return None
        return self._handle(frame)

    # --- what is handled beside the tasks

    def _handle(self, frame: Frame) -> Error | None:
        agent, cx = self._agent, Context(self, frame)
        work: Coroutine[Any, Any, None] | None = None
        match frame.payload:
            case Call() as call if agent.voter is not None:
                work = self._vote(frame, call, cx)
            case Close() as close:
                work = _call(agent.closer, close, cx)
                self._ballots.pop(close.proposal, None)
            case Ask() as ask if agent.asker is not None:
                work = self._asked(frame, ask, cx)
            case Tell() | Broadcast() as told if agent.teller is not None:
                work = _call(agent.teller, _said(frame, told), cx)
            case Event() as event:
                work = _call(agent.events.get(event.type), event, cx)
        if work is None:
            return _error(frame, Code.NOT_SUPPORTED, f"{self.name} has no handler for it")
        if len(self._handlers) >= limits.WAITING_HANDLERS:
            work.close()
            return _error(frame, Code.OVERLOADED, f"{limits.WAITING_HANDLERS} messages are handled", limits.RETRY_AFTER_MS)
        self._start(self._timed(work, frame, cx), frame)
        return None

    async def _timed(self, work: Coroutine[Any, Any, None], frame: Frame, cx: Context) -> None:
        """Ends a handler at its deadline, and tells the other side where it fails."""
        try:
            async with asyncio.timeout(cx.time_left_s):
                await work
        except TimeoutError:
            await self._tell_failure(frame, Code.DEADLINE_PASSED, "the deadline passed before it was handled")
        except Exception as error:
            log.exception("the handler of a %s raised", frame.kind.name.lower())
            await self._tell_failure(frame, Code.FAILED, f"{type(error).__name__}: {error}")

    async def _tell_failure(self, frame: Frame, code: Code, text: str) -> None:
        error = _error(frame, code, text)
        if error is not None and isinstance(frame.payload, (Call, Ask)):
            await self.connection.post(error)

    async def _vote(self, frame: Frame, call: Call, cx: Context) -> None:
        assert self._agent.voter is not None
        ballot = await self._agent.voter(call, cx)
        self._ballots[call.id] = self._ballots.pop(call.id, 0) + 1
        if len(self._ballots) > limits.VOTES:
            del self._ballots[next(iter(self._ballots))]
        cast = Cast(
            proposal=call.id,
            voter=self._agent.card.id,
            epoch=call.epoch,
            sequence=self._ballots[call.id],
            choice=ballot.cast(call),
            confidence=ballot.confidence,
            reasoning=ballot.reasoning,
            evidence=list(ballot.evidence),
        )
        await self._reply(frame, cast, Extension(in_reply_to=frame.extension.message_id))

    async def _asked(self, frame: Frame, ask: Ask, cx: Context) -> None:
        assert self._agent.asker is not None
        given = await self._agent.asker(_said(frame, ask), cx)
        reply = given if isinstance(given, Reply) else Reply(given)
        extension = Extension(in_reply_to=frame.extension.message_id, performative=reply.performative)
        await self._reply(frame, Answer(topic=reply.topic or ask.topic, content=reply.content), extension)

    async def _reply(self, frame: Frame, payload: Cast | Answer, extension: Extension) -> None:
        reply = self.connection.frame(payload, extension, recipient=frame.sender, conversation=frame.conversation)
        await self.connection.send(reply)

    def _answer(self, message: UUID, answer: Said | Refused) -> None:
        waiting = self.answers.get(message)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)

    def _emergency(self, stop: EmergencyStop) -> None:
        log.warning("emergency stop: %s", stop.reason)
        self._tasks.emergency(stop.scope, stop.reason, stop.grace_ms / 1000)
        everything = isinstance(stop.scope, Everything) or stop.scope == OfAgent(self._agent.card.id)
        for handler, frame in self._handlers.items():
            if everything or stop.scope == OfConversation(frame.conversation):
                handler.cancel()

    def _start(self, work: Coroutine[Any, Any, None], frame: Frame) -> None:
        handler = asyncio.create_task(work)
        self._handlers[handler] = frame
        handler.add_done_callback(self._handlers.pop)

    # --- the end

    def _leave(self, drain_s: float, goodbye: Goodbye | None) -> None:
        if self._leaving is None:
            self._tasks.closed = True
            self._leaving = asyncio.create_task(self._drain(drain_s, goodbye))

    async def _drain(self, drain_s: float, goodbye: Goodbye | None) -> None:
        if goodbye is not None:
            await self.connection.post(goodbye)
        if not await self._ended_within(drain_s):
            self._tasks.cancel_all("the agent stops")
            await self._ended_within(limits.CANCEL_S)
        await self.connection.close()

    async def _ended_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._tasks.idle()
                await self.connection.all_acked()
        except TimeoutError:
            return False
        return True


async def serve(agent: Agent, *, url: str, token: str | None = None, incarnation: int = 0) -> None:
    """Serves an agent within a running loop; SIGINT and SIGTERM let its tasks end, a second one does not."""
    client, loop = Client(agent, url=url, token=token, incarnation=incarnation), asyncio.get_running_loop()

    def stop(number: signal.Signals) -> None:
        loop.remove_signal_handler(number)
        client.stop()

    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop, number)
    except (NotImplementedError, ValueError, RuntimeError):
        log.debug("no signal handlers here: stop the agent by cancelling it")
    await client.run()


def run(agent: Agent, *, url: str, token: str | None = None, incarnation: int = 0) -> None:
    """Serves an agent until it is stopped by SIGINT or SIGTERM, or the daemon ends.

    Raises `Refused`, `Fenced` or `Dismissed` where the daemon does not want this agent (any more).
    """
    asyncio.run(serve(agent, url=url, token=token, incarnation=incarnation))


async def _call(handler: Callable[[Any, Context], Awaitable[None]] | None, what: Any, cx: Context) -> None:
    if handler is not None:
        await handler(what, cx)


def _said(frame: Frame, act: Tell | Ask | Answer | Broadcast) -> Said:
    return Said(act.content, frame.sender, act.topic, frame.conversation, frame.extension.performative)


def _error(frame: Frame, code: Code, text: str, retry_after_ms: int | None = None) -> Error | None:
    """A refusal of a message by its id; one without cannot be named, and naming nothing would refuse the connection."""
    message = frame.extension.message_id
    refusal = Refusal(code=code, text=cut(text), retry_after_ms=retry_after_ms)
    return None if message is None else Error(refusal=refusal, message=message)
