"""A connection that outlives its cuts: hello and welcome, heartbeats, credit, acks, backoff, resume.

`client` runs it and is told of every message that is not of the connection itself.

# Invariants
No message that takes credit is sent beyond what the daemon granted.
A task response is kept, and sent again after a cut under its id, until it is acknowledged or refused.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable
from dataclasses import dataclass, replace
from typing import Protocol
from urllib.parse import urlsplit
from uuid import UUID

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.typing import Subprotocol

from . import limits
from .compress import INSTALLED
from .errors import Code, Dismissed, Fenced, ProtocolError, Refused, cut
from .extension import Extension
from .frame import VERSION, Control, Frame, Payload, decode, encode, from_text, named
from .ids import uuid7
from .limits import FrameLimits
from .payload import (
    Ack,
    Card,
    Codec,
    Credit,
    Error,
    Goodbye,
    Heartbeat,
    Hello,
    Reason,
    Refusal,
    TaskResponse,
    Welcome,
)
from .session import Reply, Session

log = logging.getLogger("synod")

SUBPROTOCOL = Subprotocol("synod.v1")
PATH = "/v1/agents"


class Side(Protocol):
    """What a connection asks and tells."""

    def load(self) -> tuple[int, int]:
        """Tasks in progress, and tasks that wait."""

    def unfinished(self) -> list[UUID]:
        """Tasks that are still worked on."""

    def receives(self, frame: Frame) -> Reply:
        """Takes a message, and says how to answer it; must not wait."""

    def refused(self, message: UUID, refusal: Refusal) -> None:
        """A message of ours was refused."""

    def welcomed(self, goes_on: bool) -> Awaitable[None]:
        """The session begins, or goes on."""

    def leaves(self, drain_s: float) -> None:
        """The daemon ends for good after this time."""


@dataclass(frozen=True, slots=True)
class Where:
    """How a daemon is reached and what is said to it first."""

    url: str
    token: str | None
    card: Card
    incarnation: int

    def address(self) -> str:
        """The URL, with the path of agents where it has none.

        Raises `ValueError` where it is no URL of a WebSocket.
        """
        if urlsplit(self.url).scheme not in ("ws", "wss") or not urlsplit(self.url).hostname:
            raise ValueError(f"{self.url!r} is no URL of a WebSocket: give one such as ws://127.0.0.1:7777 or wss://host")
        return self.url if urlsplit(self.url).path.strip("/") else self.url.rstrip("/") + PATH


class Connection:
    """Keeps one agent connected."""

    def __init__(self, where: Where, side: Side) -> None:
        self._where, self._side = where, side
        self._address = where.address()
        self.session = Session()
        self._opened: ClientConnection | None = None
        self._socket: ClientConnection | None = None
        self._closed = asyncio.Event()
        self._ready = asyncio.Event()
        self._all_acked = asyncio.Event()
        self._most, self._codec = FrameLimits(), Codec.GZIP
        self._beats, self._echo, self._failures = 0, 0, 0
        self._over = False
        self._background: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Connects, and connects again after each cut, until the connection is over.

        Raises `Refused`, `Fenced` or `Dismissed` when the daemon does not want this agent (any more).
        """
        while not self._over:
            try:
                await self._connected()
                wait = 0.0
            except Refused as refused:
                if refused.code // 100 == 1:
                    raise
                wait = refused.retry_s
            except (OSError, WebSocketException, ProtocolError, TimeoutError) as error:
                wait = 0.0
                if isinstance(error, InvalidStatus) and error.response.status_code in (401, 403):
                    raise Refused(Code.UNAUTHORISED, f"HTTP {error.response.status_code}") from None
                log.warning("not connected to %s: %s", self._address, error or "no sign of life")
            if not self._over:
                await self._pause(wait + self._backoff())

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._closed.wait()
        except TimeoutError:
            pass

    async def close(self) -> None:
        """Ends the connection for good."""
        self._over = True
        self._closed.set()
        if self._opened is not None:
            await self._opened.close()

    def frame(self, payload: Payload, extension: Extension = Extension(), **marks: UUID | bool) -> Frame:
        """A message of this agent; one that takes credit gets an id."""
        made = Frame(payload=payload, sender=self._where.card.id, timestamp_ns=time.time_ns(), extension=extension, **marks)  # type: ignore[arg-type]
        if made.kind.takes_credit and extension.message_id is None:
            return replace(made, extension=replace(extension, message_id=uuid7()))
        return made

    async def send(self, frame: Frame) -> None:
        """Sends a message that takes credit, once there is some.

        Waits while the connection is cut; what is on its way at a cut is lost, unless it is a task response.
        It is dropped where the session ends before.
        Raises `ProtocolError` where the message breaks a rule or a limit of the daemon.
        """
        session, data = self.session.id, encode(frame, self._codec, self._most)
        while not self._ready.is_set():
            await self._ready.wait()
        if session not in (None, self.session.id):
            return
        self.session.sends()
        if isinstance(frame.payload, TaskResponse) and frame.extension.message_id is not None:
            self.session.unacked[frame.extension.message_id] = frame
            self._all_acked.clear()
        self._look()
        await self._write(data)

    async def post(self, payload: Control) -> None:
        """Sends a message that takes no credit, if the connection is up."""
        await self._write(encode(self.frame(payload), self._codec, self._most))

    async def all_acked(self) -> None:
        """Waits until no response is without an ack."""
        while self.session.unacked:
            await self._all_acked.wait()

    # --- one connection

    async def _connected(self) -> None:
        options = connect(
            self._address,
            subprotocols=[SUBPROTOCOL],
            compression=None,
            ping_interval=None,
            open_timeout=limits.WELCOME_S,
            close_timeout=1,
            max_size=limits.MESSAGE_BYTES,
        )
        async with options as self._opened:
            if self._over:
                return
            async with asyncio.timeout(limits.WELCOME_S):
                welcome = await self._greet(self._opened)
            await self._serve(self._opened, welcome)

    async def _greet(self, socket: ClientConnection) -> Welcome:
        where, session = self._where, self.session
        hello = Hello(
            versions=[VERSION],
            token=where.token,
            card=where.card,
            incarnation=where.incarnation,
            codecs=INSTALLED,
            credit=limits.CREDIT,
            resume=session.id,
            unfinished=self._unfinished(),
        )
        await socket.send(encode(self.frame(hello)))
        while True:
            for frame in _decoded(await socket.recv()):
                match frame.payload:
                    case Welcome(version=version) as welcome:
                        if version != VERSION:
                            raise Refused(Code.NOT_SUPPORTED, f"version {version} was welcomed, {VERSION} was offered")
                        return welcome
                    case Error() as error:
                        raise error.refusal.error()
                    case Goodbye() as goodbye:
                        raise _farewell(goodbye) or OSError(f"goodbye: {goodbye.reason.value} {goodbye.text}")

    def _unfinished(self) -> list[UUID]:
        """Tasks that are worked on, and those whose response has no ack: both are not for others."""
        if self.session.id is None:
            return []
        responses = [frame.payload.task for frame in self.session.unacked.values() if isinstance(frame.payload, TaskResponse)]
        return list(dict.fromkeys(self._side.unfinished() + responses))

    async def _serve(self, socket: ClientConnection, welcome: Welcome) -> None:
        goes_on = self.session.welcomed(welcome)
        most = welcome.limits
        self._most = FrameLimits(most.payload_bytes, most.inflated_bytes, most.text_bytes, most.values, most.depth)
        self._codec = Codec.ZSTD if Codec.ZSTD in welcome.codecs and Codec.ZSTD in INSTALLED else Codec.GZIP
        self._socket, self._beats, self._echo = socket, 0, 0
        beat = asyncio.create_task(self._beat(welcome.heartbeat_ms / 1000))
        try:
            await self._go_on(goes_on)
            await self._read(socket, limits.SILENT_HEARTBEATS * welcome.heartbeat_ms / 1000)
        finally:
            self._socket = None
            self._look()
            beat.cancel()

    async def _go_on(self, goes_on: bool) -> None:
        if goes_on:
            await self.post(self.session.grant())
            for response in list(self.session.unacked.values()):
                await self._write(encode(response, self._codec, self._most))
        self._look()
        await self._side.welcomed(goes_on)

    async def _read(self, socket: ClientConnection, silence_s: float) -> None:
        while True:
            try:
                async with asyncio.timeout(silence_s):
                    message = await socket.recv()
            except TimeoutError:
                await self.post(Goodbye(reason=Reason.SILENT))
                socket.transport.abort()
                raise
            try:
                frames = _decoded(message)
            except ProtocolError as error:
                await self._refuse(message, error)
                continue
            for frame in frames:
                await self._receive(frame)
            due = self.session.grant_due()
            if due is not None:
                await self.post(due)

    async def _beat(self, interval_s: float) -> None:
        while True:
            await asyncio.sleep(interval_s)
            self._beats += 1
            active, queued = self._side.load()
            await self.post(Heartbeat(sequence=self._beats, echo=self._echo, active=active, queued=queued))

    async def _receive(self, frame: Frame) -> None:
        match frame.payload:
            case Heartbeat() as beat:
                self._echo, self._failures = beat.sequence, 0
            case Ack() as ack:
                self.session.acked(ack.messages)
                self._look()
            case Credit() as credit:
                self.session.allow(credit.messages_total)
                self._look()
            case Error() as error:
                self._refused(error)
            case Goodbye() as goodbye:
                self._goodbye(goodbye)
            case Hello() | Welcome():
                log.warning("a second %s was ignored", frame.kind.name.lower())
            case _:
                await self._deliver(frame)

    async def _deliver(self, frame: Frame) -> None:
        message = frame.extension.message_id
        if self.session.receives(frame):
            reply = self._side.receives(frame)
            if message is not None:
                self.session.replied(message, reply)
        else:
            reply = self.session.reply_to(message)
        if reply is not None:
            await self.post(reply)

    async def _refuse(self, message: str | bytes, error: ProtocolError) -> None:
        """Refuses one message by its id; without one nothing can be said, for that would refuse the connection."""
        log.warning("a frame was refused: %s", error)
        kind, known = named(message)
        if kind is not None:
            self.session.counts(kind)
        if known is not None:
            await self.post(Error(refusal=Refusal(code=error.code, text=cut(str(error))), message=known))

    def _refused(self, error: Error) -> None:
        if error.message is None and error.task is None:
            raise error.refusal.error()
        refused = error.refusal.error(f"message {error.message}" if error.message else f"task {error.task}")
        kept = self.session.unacked.get(error.message) if error.message else None
        if kept is not None and refused.code // 100 == 2:
            self._later(self._again(kept, refused.retry_s))
        elif error.message is not None:
            self.session.acked([error.message])
            self._look()
            self._side.refused(error.message, error.refusal)
        log.warning("%s", refused)

    async def _again(self, response: Frame, after_s: float) -> None:
        await asyncio.sleep(after_s)
        if response.extension.message_id in self.session.unacked:
            await self._write(encode(response, self._codec, self._most))

    def _later(self, work: "asyncio._CoroutineLike[None]") -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def _goodbye(self, goodbye: Goodbye) -> None:
        error = _farewell(goodbye)
        if error is not None:
            raise error
        log.info("the daemon says goodbye: %s %s", goodbye.reason.value, goodbye.text)
        if goodbye.reason in (Reason.DONE, Reason.STOPPING):
            self._over = True
            self._side.leaves(goodbye.drain_ms / 1000)

    async def _write(self, data: bytes) -> None:
        """Sends bytes; whether the connection is cut is seen by the reader alone."""
        socket = self._socket
        if socket is None:
            return
        try:
            await socket.send(data)
        except WebSocketException as error:
            log.debug("not sent: %s", error)

    def _look(self) -> None:
        """Lets those go on who wait for what is there now."""
        if self._socket is not None and self.session.may_send():
            self._ready.set()
        else:
            self._ready.clear()
        if not self.session.unacked:
            self._all_acked.set()

    def _backoff(self) -> float:
        longest = min(limits.BACKOFF_S_MAX, limits.BACKOFF_S * 2 ** min(self._failures, 16))
        self._failures += 1
        return random.uniform(0, longest)


def _farewell(goodbye: Goodbye) -> Exception | None:
    """The error of a goodbye after which this agent must not connect again."""
    if goodbye.reason is Reason.FENCED:
        return Fenced(f"another connection of this identity took over ({goodbye.text or 'no text'}); give each process its own id")
    if goodbye.reason is Reason.MISBEHAVED:
        return Dismissed(f"the daemon says that this agent misbehaved: {goodbye.text or 'no text'}; see the daemon's log")
    return None


def _decoded(message: str | bytes) -> list[Frame]:
    return [from_text(message)] if isinstance(message, str) else decode(message)
