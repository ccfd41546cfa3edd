"""The tasks of an agent: each is accepted or refused at once, runs in a slot, and ends in one response.

`client` gives it what comes; it sends by the connection.

# Invariants
At most `concurrency` handlers run at once, those included that outlive their cancellation.
A task and fence has one run and one response; a response is sent in the session of its request only.
"""

import asyncio
import logging
import time
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import UUID

from . import limits
from .agent import Agent
from .context import TaskContext, Voice
from .errors import Code, ProtocolError, TaskFailed, TaskRejected, cut
from .extension import Extension
from .frame import Frame
from .payload import (
    Cancel,
    Cancelled,
    Completed,
    Do,
    Everything,
    Failed,
    OfAgent,
    OfRun,
    OfTask,
    Outcome,
    Refusal,
    Rejected,
    Scope,
    TaskResponse,
    Usage,
)

log = logging.getLogger("synod")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class _Stop:
    """Why a task is ended before its handler has ended; without an outcome nobody is told."""

    outcome: Outcome | None
    grace_s: float = limits.CANCEL_S


@dataclass(slots=True, eq=False)
class _Assignment:
    frame: Frame
    do: Do
    cx: TaskContext
    stop: "asyncio.Future[_Stop]"
    began: float = field(default_factory=time.monotonic)
    running: bool = False


class Tasks:
    """What an agent works on."""

    def __init__(self, agent: Agent, voice: Voice) -> None:
        self._agent, self._voice = agent, voice
        self._slots = asyncio.Semaphore(agent.card.concurrency)
        self._current: dict[UUID, _Assignment] = {}
        self._ended: dict[UUID, int] = {}
        self._works: set[asyncio.Task[None]] = set()
        self._handlers: set[asyncio.Task[Outcome]] = set()
        self.closed = False

    def load(self) -> tuple[int, int]:
        """Tasks in progress, and tasks that wait."""
        active = sum(one.running for one in self._current.values())
        return active, len(self._current) - active

    def unfinished(self) -> list[UUID]:
        """Tasks that have no response yet."""
        return list(self._current)

    def give(self, frame: Frame, do: Do) -> Refusal | None:
        """Begins a task, or says why not; one that is known is not begun again."""
        held = self._current.get(do.task.id)
        newest = max(held.do.fence if held else -1, self._ended.get(do.task.id, -1))
        if do.fence == newest:
            return None
        refusal = self._objection(frame, do, newest)
        if refusal is None:
            if held is not None:
                _end(held, _Stop(None))
            self._begin(frame, do)
        return refusal

    def cancel(self, cancel: Cancel) -> Refusal | None:
        """Cancels a task; one that has ended, or is held under another fence, is left alone."""
        held = self._current.get(cancel.task)
        if held is not None and held.do.fence == cancel.fence:
            _end(held, _Stop(Cancelled(reason=cancel.reason)))
        return None

    def emergency(self, scope: Scope, reason: str, grace_s: float) -> None:
        """Stops all tasks in the scope."""
        own = self._agent.card.id
        for one in list(self._current.values()):
            match scope:
                case Everything():
                    hit = True
                case OfRun(run):
                    hit = run == one.do.task.run
                case OfTask(task):
                    hit = task == one.do.task.id
                case OfAgent(agent):
                    hit = agent == own
                case _:
                    hit = scope.id == one.frame.conversation
            if hit:
                _end(one, _Stop(Cancelled(reason=cut(f"emergency stop: {reason}", limits.TEXT_BYTES)), grace_s))

    def forget(self) -> None:
        """Ends all tasks without a word: they went to others."""
        for one in list(self._current.values()):
            _end(one, _Stop(None))

    def cancel_all(self, reason: str) -> None:
        """Cancels all tasks."""
        for one in list(self._current.values()):
            _end(one, _Stop(Cancelled(reason=reason)))

    async def idle(self) -> None:
        """Waits until every task has its response."""
        while self._works:
            await asyncio.wait(self._works)

    def abandon(self) -> None:
        """Cancels whatever is left, for the end of the process."""
        for task in (*self._works, *self._handlers):
            task.cancel()

    def _objection(self, frame: Frame, do: Do, newest: int) -> Refusal | None:
        left = frame.time_left_s
        most = self._agent.card.concurrency * (1 + limits.WAITING_TASKS_PER_SLOT)
        if do.fence < newest:
            return Refusal(code=Code.STALE, text=f"fence {do.fence} is older than {newest}")
        if self.closed:
            return Refusal(code=Code.STOPPING, text="the agent is draining")
        if left is not None and left <= 0:
            return Refusal(code=Code.DEADLINE_PASSED, text="no time was left when it was sent")
        if len(self._current) >= most:
            return Refusal(code=Code.OVERLOADED, text=f"{most} tasks are here", retry_after_ms=limits.RETRY_AFTER_MS)
        return None

    def _begin(self, frame: Frame, do: Do) -> None:
        stop = asyncio.get_running_loop().create_future()
        one = self._current[do.task.id] = _Assignment(frame, do, TaskContext(self._voice, frame, do), stop)
        self._keep(self._works, asyncio.create_task(self._work(one)))

    @staticmethod
    def _keep(tasks: "set[asyncio.Task[_T]]", task: "asyncio.Task[_T]") -> None:
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    async def _work(self, one: _Assignment) -> None:
        session = self._voice.connection.session.id
        outcome = await self._outcome(one)
        one.cx.close()
        try:
            if outcome is not None and session == self._voice.connection.session.id:
                await self._respond(one, outcome)
        finally:
            if self._current.get(one.do.task.id) is one:
                del self._current[one.do.task.id]
                self._remember(one.do)

    async def _outcome(self, one: _Assignment) -> Outcome | None:
        """How the task ends: by its handler, by being stopped, or by its deadline, whatever comes first."""
        handler = asyncio.create_task(self._call(one))
        self._keep(self._handlers, handler)
        ends: set[asyncio.Future[Any]] = {handler, one.stop}
        await asyncio.wait(ends, timeout=one.cx.time_left_s, return_when=asyncio.FIRST_COMPLETED)
        if handler.done():
            return _result(handler)
        late = Refusal(code=Code.DEADLINE_PASSED, text="the deadline passed before the task was done")
        stop = one.stop.result() if one.stop.done() else _Stop(Failed(late))
        handler.cancel()
        await asyncio.wait({handler}, timeout=stop.grace_s)
        if not handler.done():
            log.error("the handler of task %s goes on after its cancellation: let it end on CancelledError", one.do.task.id)
        return stop.outcome

    async def _call(self, one: _Assignment) -> Outcome:
        async with self._slots:
            one.running = True
            try:
                output = await self._agent.handler(one.do.task, one.cx)
            except TaskRejected as error:
                return Rejected(_refusal(error))
            except TaskFailed as error:
                return Failed(_refusal(error))
            except Exception as error:
                log.exception("the handler of task %s raised", one.do.task.id)
                return Failed(Refusal(code=Code.FAILED, text=cut(f"{type(error).__name__}: {error}")))
            return output if isinstance(output, Completed) else Completed(output=output)

    async def _respond(self, one: _Assignment, outcome: Outcome) -> None:
        connection, do = self._voice.connection, one.do
        wall_ms = int((time.monotonic() - one.began) * 1000)
        used = one.cx.usage or Usage()
        usage = Usage(tokens_in=used.tokens_in, tokens_out=used.tokens_out, usd_micros=used.usd_micros, wall_ms=wall_ms)
        extension = Extension(in_reply_to=one.frame.extension.message_id)

        def frame(outcome: Outcome) -> Frame:
            response = TaskResponse(task=do.task.id, fence=do.fence, outcome=outcome, usage=usage)
            return connection.frame(response, extension, conversation=one.frame.conversation)

        try:
            await connection.send(frame(outcome))
        except ProtocolError as error:
            log.error("the output of task %s cannot be sent: %s", do.task.id, error)
            await connection.send(frame(Failed(Refusal(code=error.code, text=cut(str(error))))))

    def _remember(self, do: Do) -> None:
        self._ended.pop(do.task.id, None)
        self._ended[do.task.id] = do.fence
        if len(self._ended) > limits.ENDED_TASKS:
            del self._ended[next(iter(self._ended))]


def _end(one: _Assignment, stop: _Stop) -> None:
    if not one.stop.done():
        one.stop.set_result(stop)


def _refusal(error: TaskFailed) -> Refusal:
    return Refusal(code=error.code, text=cut(error.text), retry_after_ms=error.retry_after_ms)


def _result(handler: "asyncio.Task[Outcome]") -> Outcome:
    if handler.cancelled():
        return Failed(Refusal(code=Code.FAILED, text="the handler was cancelled from within"))
    return handler.result()
