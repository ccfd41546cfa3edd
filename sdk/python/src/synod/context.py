"""What handlers are given: the deadline, progress and partial output, and the voice of the agent in conversations."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Protocol
from uuid import UUID

from .agent import Said
from .connection import Connection
from .errors import NoAnswer, Refused
from .extension import Extension, Performative
from .frame import EVERYONE, NIL, Frame
from .ids import uuid7
from .payload import Do, ProgressReport, Usage
from .shared import (
    Ask,
    Broadcast,
    End,
    Event,
    Join,
    Leave,
    Open,
    Tell,
    ToActor,
    ToName,
    ToRun,
)

Answers = dict[UUID, "asyncio.Future[Said | Refused]"]


class Voice(Protocol):
    """What a context needs of the agent's client."""

    connection: Connection
    answers: Answers
    name: str


class Context:
    """What every handler is given."""

    def __init__(self, voice: Voice, frame: Frame) -> None:
        self._voice, self.frame = voice, frame
        left = frame.time_left_s
        self._deadline = None if left is None else time.monotonic() + left

    @property
    def time_left_s(self) -> float | None:
        """Seconds until the deadline, or `None` where there is none."""
        return None if self._deadline is None else self._deadline - time.monotonic()

    async def tell(self, member: UUID, content: Any, *, topic: str | None = None, conversation: UUID | None = None) -> None:
        """Says something to one member of a conversation."""
        await self._say(Tell(topic=topic, content=content), member, conversation)

    async def broadcast(self, content: Any, *, topic: str | None = None, conversation: UUID | None = None) -> None:
        """Says something to every member of a conversation."""
        await self._say(Broadcast(topic=topic, content=content), EVERYONE, conversation)

    async def ask(
        self,
        member: UUID,
        content: Any,
        *,
        timeout_s: float,
        topic: str | None = None,
        conversation: UUID | None = None,
        performative: Performative | None = None,
    ) -> Said:
        """Asks one member and waits for the answer.

        Raises `NoAnswer` after the time, and `Refused` where it is refused. Cancelled, it forgets the answer.
        """
        deadline = time.time_ns() + int(timeout_s * 1e9)
        extension = Extension(message_id=uuid7(), deadline_ns=deadline, performative=performative)
        message = extension.message_id or NIL
        answer: asyncio.Future[Said | Refused] = asyncio.get_running_loop().create_future()
        self._voice.answers[message] = answer
        try:
            async with asyncio.timeout(timeout_s):
                await self._say(Ask(topic=topic, content=content), member, conversation, extension)
                said = await answer
        except TimeoutError:
            raise NoAnswer(f"{member} has not answered in {timeout_s:g} s; ask again, or allow more time") from None
        finally:
            del self._voice.answers[message]
        if isinstance(said, Refused):
            raise said
        return said

    async def open(
        self, members: Sequence[UUID], *, topic: str | None = None, messages_max: int | None = None, lasts_s: float | None = None
    ) -> UUID:
        """Opens a conversation with these members, and tells its identity."""
        conversation = uuid7()
        lasts_ms = None if lasts_s is None else int(lasts_s * 1000)
        act = Open(topic=topic, members=list(members), messages_max=messages_max, lasts_ms=lasts_ms)
        await self._say(act, NIL, conversation)
        return conversation

    async def join(self, conversation: UUID) -> None:
        """Joins a conversation."""
        await self._say(Join(), NIL, conversation)

    async def leave(self, conversation: UUID) -> None:
        """Leaves a conversation."""
        await self._say(Leave(), NIL, conversation)

    async def end(self, conversation: UUID, reason: str = "") -> None:
        """Ends a conversation for all its members."""
        await self._say(End(reason=reason), NIL, conversation)

    async def publish(
        self,
        type: str,
        data: Any = None,
        *,
        run: UUID | None = None,
        target: ToRun | ToActor | ToName | None = None,
        metadata: dict[str, str] | None = None,
    ) -> UUID:
        """Publishes an event, and tells its identity."""
        source = f"agent/{self._voice.name}"
        event = Event(id=uuid7(), type=type, source=source, target=target, run=run, data=data, metadata=metadata or {})
        await self._say(event, NIL, NIL)
        return event.id

    async def _say(self, act: Any, recipient: UUID, conversation: UUID | None, extension: Extension = Extension()) -> None:
        where = self.frame.conversation if conversation is None else conversation
        connection = self._voice.connection
        await connection.send(connection.frame(act, extension, recipient=recipient, conversation=where))


class TaskContext(Context):
    """What a handler of tasks is given."""

    def __init__(self, voice: Voice, frame: Frame, do: Do) -> None:
        super().__init__(voice, frame)
        self.attempt = do.attempt
        """Counts the attempts at this task, from 1."""
        self.usage: Usage | None = None
        self._do, self._reports, self._ended = do, 0, False

    def use(self, *, tokens_in: int = 0, tokens_out: int = 0, usd_micros: int = 0) -> None:
        """Adds to what the task has used up; it goes with each report and with the response."""
        old = self.usage or Usage()
        self.usage = Usage(
            tokens_in=old.tokens_in + tokens_in,
            tokens_out=old.tokens_out + tokens_out,
            usd_micros=old.usd_micros + usd_micros,
        )

    async def progress(self, fraction: float | None = None, text: str = "", *, milestone: str | None = None) -> None:
        """Reports how far the task is; waits while the daemon grants no more messages."""
        await self._report(False, fraction=fraction, text=text, milestone=milestone)

    async def stream(self, partial: Any) -> None:
        """Sends the next piece of the output ahead; waits while the daemon grants no more messages."""
        await self._report(True, partial=partial)

    def close(self) -> None:
        """Reports of a handler that outlives its task are dropped from here on."""
        self._ended = True

    async def _report(self, streaming: bool, **given: Any) -> None:
        if self._ended:
            return
        self._reports += 1
        do = self._do
        report = ProgressReport(task=do.task.id, fence=do.fence, sequence=self._reports, usage=self.usage, **given)
        connection = self._voice.connection
        await connection.send(connection.frame(report, streaming=streaming))
