"""A daemon of a few lines that follows a script: frames by `struct` and `msgpack` alone, none of the code under test."""

import asyncio
import functools
import gzip
import struct
import time
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any
from uuid import UUID, uuid4

import msgpack
from websockets.asyncio.server import ServerConnection, serve

KINDS = {
    "hello": 0x01,
    "welcome": 0x02,
    "heartbeat": 0x03,
    "ack": 0x04,
    "error": 0x05,
    "credit": 0x06,
    "goodbye": 0x07,
    "task_request": 0x10,
    "task_response": 0x11,
    "coordination": 0x30,
    "consensus_vote": 0x31,
    "progress_report": 0x40,
    "emergency_stop": 0x50,
}
WORDS = {kind: word for word, kind in KINDS.items()}
LONG_MS = 600_000
"""An interval of heartbeats that no test lives to see."""
PATIENCE_S = 30
"""After this a test that waits for what never comes has failed."""


def encode(kind: str, payload: Any, *, message: UUID | None = None, answers: UUID | None = None, **more: Any) -> bytes:
    """A frame; `left_ns` gives it a deadline, `sender` and `conversation` are what they say."""
    fields = [(1, message and message.bytes), (2, answers and answers.bytes)]
    now = time.time_ns()
    if "left_ns" in more:
        fields.append((4, struct.pack(">q", now + more["left_ns"])))
    block = b"".join(bytes([tag, len(value)]) + value for tag, value in fields if value)
    body = (struct.pack(">H", len(block)) + block if block else b"") + msgpack.packb(payload)
    ids = (more.get(name, UUID(int=0)).bytes for name in ("sender", "recipient", "conversation"))
    return struct.pack(">BB16s16s16sqHI", 1, KINDS[kind], *ids, now, 32 if block else 0, len(body)) + body


class Got:
    """A frame that came."""

    def __init__(self, data: bytes) -> None:
        version, kind, sender, recipient, conversation, _, flags, size = struct.unpack(">BB16s16s16sqHI", data[:64])
        assert version == 1 and size == len(data) - 64 and flags & ~0b111001 == 0
        self.kind, self.streaming = WORDS[kind], bool(flags & 16)
        self.sender, self.recipient, self.conversation = UUID(bytes=sender), UUID(bytes=recipient), UUID(bytes=conversation)
        body, self.tags = data[64:], {}
        if flags & 32:
            end = 2 + int.from_bytes(body[:2], "big")
            block, body = body[2:end], body[end:]
            while block:
                self.tags[block[0]], block = block[2 : 2 + block[1]], block[2 + block[1] :]
        self.payload = msgpack.unpackb(gzip.decompress(body) if flags & 1 else body)

    @property
    def message(self) -> UUID:
        return UUID(bytes=self.tags[1])

    @property
    def answers(self) -> UUID:
        return UUID(bytes=self.tags[2])


class Link:
    """One connection of the agent under test."""

    def __init__(self, socket: ServerConnection, hello: Got) -> None:
        self.socket, self.hello = socket, hello

    async def send(self, kind: str, payload: Any, **more: Any) -> None:
        await self.socket.send(encode(kind, payload, **more))

    async def next(self) -> Got:
        """The next frame."""
        data = await self.socket.recv()
        assert isinstance(data, bytes)
        return Got(data)

    async def take(self, kind: str) -> Got:
        """The next frame, which must be of this kind."""
        got = await self.next()
        assert got.kind == kind, f"{got.kind} came: {got.payload}"
        return got

    async def give(self, task: UUID, fence: int = 1, *, kind: str = "review", value: Any = None, **more: Any) -> UUID:
        """Gives a task and awaits the ack that must come at once."""
        message = more.setdefault("message", uuid4())
        do = {"task": {"id": task.bytes, "run": RUN.bytes, "type": kind, "input": value}, "fence": fence}
        await self.send("task_request", {"do": do}, **more)
        assert (await self.take("ack")).payload == {"messages": [message.bytes]}
        return message

    async def since(self) -> list[Got]:
        """What the agent has sent until now: all that comes before its ack to a cancel of no task."""
        message, got = uuid4(), []
        await self.send("task_request", {"cancel": {"task": uuid4().bytes, "fence": 1}}, message=message)
        while True:
            frame = await self.next()
            if frame.kind == "ack" and frame.payload == {"messages": [message.bytes]}:
                return got
            got.append(frame)

    async def ack(self, got: Got) -> None:
        await self.send("ack", {"messages": [got.message.bytes]})

    def cut(self) -> None:
        """Ends the connection without a word."""
        self.socket.transport.abort()


RUN = UUID(int=0xD)


class Peer:
    """Waits for the agent on a free port."""

    async def __aenter__(self) -> "Peer":
        self._came: asyncio.Queue[ServerConnection] = asyncio.Queue()
        self._server = await serve(self._serve, "127.0.0.1", 0, subprotocols=["synod.v1"], compression=None, close_timeout=1)
        self.url = f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        self.sessions = 0
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, socket: ServerConnection) -> None:
        self._came.put_nowait(socket)
        await socket.wait_closed()

    async def hello(self) -> Link:
        """The next connection, up to its hello."""
        socket = await self._came.get()
        data = await socket.recv()
        assert isinstance(data, bytes)
        hello = Got(data)
        assert hello.kind == "hello"
        return Link(socket, hello)

    async def accept(self, *, resumed: bool = False, credit: int = 100, heartbeat_ms: int = LONG_MS, **more: Any) -> Link:
        """The next connection, welcomed."""
        link = await self.hello()
        self.sessions += not resumed
        session = UUID(int=self.sessions).bytes
        welcome = {"version": 1, "session": session, "resumed": resumed, "heartbeat_ms": heartbeat_ms, "credit": credit}
        await link.send("welcome", welcome | more)
        if resumed:
            assert link.hello.payload["resume"] == session
            assert (await link.take("credit")).payload["messages_total"] >= 128
        return link


def scenario(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Runs a test in a loop of its own, with a peer as its first argument."""

    @functools.wraps(test)
    def run(*args: Any, **named: Any) -> None:
        async def bounded() -> None:
            async with asyncio.timeout(PATIENCE_S), Peer() as peer:
                await test(peer, *args, **named)

        asyncio.run(bounded())

    del run.__wrapped__  # type: ignore[attr-defined]
    return run
