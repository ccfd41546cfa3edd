"""The life of a connection against a scripted daemon: credit, heartbeats, cuts, resume, fencing, drain, emergency stop, garbage."""

import asyncio
import struct
from typing import Any
from uuid import UUID, uuid4

import pytest
from peer import RUN, Link, Peer, encode, scenario
from test_agent import TASK, Held, answered, echo, serving, worker

from synod import Client, Dismissed, Fenced, Refused, Task, TaskContext, run, serve

# --- credit


@scenario
async def test_nothing_is_sent_beyond_the_credit(peer: Peer) -> None:
    called: asyncio.Queue[int] = asyncio.Queue()

    async def work(task: Task, cx: TaskContext) -> None:
        for number in range(4):
            called.put_nowait(number)
            await cx.progress(text=str(number))

    async with serving(worker(work), peer):
        link = await peer.accept(credit=2)
        await link.give(TASK)
        while await called.get() < 2:
            pass
        assert [got.payload["text"] for got in await link.since()] == ["0", "1"]
        await link.send("credit", {"messages_total": 1})
        assert await link.since() == []
        await link.send("credit", {"messages_total": 4})
        while await called.get() < 3:
            pass
        assert [got.payload["text"] for got in await link.since()] == ["2", "3"]
        await link.send("credit", {"messages_total": 5})
        assert await answered(link) == {"completed": {}}


@scenario
async def test_an_agent_grants_more_before_its_credit_is_used_up(peer: Peer) -> None:
    async with serving(worker(echo), peer):
        link = await peer.accept()
        assert link.hello.payload["credit"] == 64
        for number in range(31):
            await link.send("task_request", {"cancel": {"task": TASK.bytes, "fence": number}}, message=uuid4())
            await link.take("ack")
        await link.send("task_request", {"cancel": {"task": TASK.bytes, "fence": 99}}, message=uuid4())
        await link.take("ack")
        assert (await link.take("credit")).payload == {"messages_total": 96}


# --- heartbeats


@scenario
async def test_heartbeats_go_both_ways_and_silence_is_a_cut(peer: Peer) -> None:
    held = Held()
    async with serving(worker(held.handler()), peer):
        link = await peer.accept(heartbeat_ms=30)
        await link.send("heartbeat", {"sequence": 41})
        await link.give(TASK)
        first = (await link.take("heartbeat")).payload
        assert first == {"sequence": 1, "echo": 41, "active": 1, "queued": 0}
        while (got := await link.next()).kind == "heartbeat":
            pass
        assert (got.kind, got.payload["reason"]) == ("goodbye", "silent")
        again = await peer.accept(resumed=True)
        assert again.hello.payload["unfinished"] == [TASK.bytes]


@scenario
async def test_a_daemon_that_is_heard_is_not_cut_off(peer: Peer) -> None:
    async with serving(worker(echo), peer):
        link = await peer.accept(heartbeat_ms=100)
        for sequence in range(1, 8):
            assert (await link.take("heartbeat")).payload["sequence"] == sequence
            await link.send("heartbeat", {"sequence": sequence})


# --- cuts


@scenario
async def test_a_task_goes_on_over_a_cut(peer: Peer) -> None:
    held = Held()
    async with serving(worker(held.handler()), peer):
        link = await peer.accept()
        await link.give(TASK, 7)
        await held.began.wait()
        link.cut()
        again = await peer.accept(resumed=True)
        assert again.hello.payload["unfinished"] == [TASK.bytes]
        assert again.hello.payload["card"] == link.hello.payload["card"]
        held.go_on.set()
        got = await again.take("task_response")
        assert (got.payload["fence"], got.payload["outcome"]) == (7, {"completed": {"output": "held"}})
        assert not held.cancelled.is_set()


@scenario
async def test_a_response_is_sent_again_until_it_is_acknowledged_and_not_after(peer: Peer) -> None:
    async with serving(worker(echo), peer):
        link = await peer.accept()
        await link.give(TASK, value="kept")
        response = await link.take("task_response")
        for _ in range(2):
            link.cut()
            link = await peer.accept(resumed=True)
            assert link.hello.payload["unfinished"] == [TASK.bytes]
            again = await link.take("task_response")
            assert (again.message, again.payload) == (response.message, response.payload)
        await link.ack(again)
        assert await link.since() == []
        link.cut()
        last = await peer.accept(resumed=True)
        assert "unfinished" not in last.hello.payload
        assert await last.since() == []


@scenario
async def test_a_response_that_ends_during_a_cut_is_sent_after_it(peer: Peer) -> None:
    held = Held()
    async with serving(worker(held.handler()), peer):
        link = await peer.accept(credit=0)
        await link.give(TASK)
        await held.began.wait()
        held.go_on.set()
        assert await link.since() == []
        link.cut()
        again = await peer.accept(resumed=True, credit=1)
        assert again.hello.payload["unfinished"] == [TASK.bytes]
        assert await answered(again) == {"completed": {"output": "held"}}


@scenario
async def test_a_session_that_is_not_resumed_gives_its_tasks_up(peer: Peer) -> None:
    held = Held()
    async with serving(worker(held.handler()), peer):
        link = await peer.accept()
        await link.give(TASK, 1)
        await held.began.wait()
        link.cut()
        again = await peer.accept(resumed=False)
        await held.cancelled.wait()
        assert await again.since() == []
        held.go_on.set()
        await again.give(TASK, 2)
        got = await again.take("task_response")
        assert got.payload["fence"] == 2


@scenario
async def test_a_response_of_a_lost_session_is_dropped(peer: Peer) -> None:
    async with serving(worker(echo), peer):
        link = await peer.accept()
        await link.give(TASK)
        await link.take("task_response")
        link.cut()
        again = await peer.accept(resumed=False)
        assert again.hello.payload["unfinished"] == [TASK.bytes]
        assert await again.since() == []
        again.cut()
        last = await peer.accept(resumed=True)
        assert "unfinished" not in last.hello.payload


@scenario
async def test_a_response_that_waits_for_credit_ends_with_its_session(peer: Peer) -> None:
    async with serving(worker(echo), peer):
        link = await peer.accept(credit=0)
        await link.give(TASK)
        assert await link.since() == []
        link.cut()
        again = await peer.accept(resumed=False)
        # whoever waited for credit has had its turn once a second answer came
        assert [await again.since(), await again.since()] == [[], []]


@scenario
async def test_a_refused_response_is_not_sent_again(peer: Peer) -> None:
    async with serving(worker(echo), peer):
        link = await peer.accept()
        await link.give(TASK, 1)
        stale = await link.take("task_response")
        await link.send("error", {"refusal": {"code": 110}, "message": stale.message.bytes, "task": TASK.bytes})
        await link.give(TASK, 2)
        busy = await link.take("task_response")
        await link.send("error", {"refusal": {"code": 200, "retry_after_ms": 1}, "message": busy.message.bytes})
        again = await link.take("task_response")
        assert again.message == busy.message
        link.cut()
        last = await peer.accept(resumed=True)
        assert (await last.take("task_response")).message == busy.message
        assert await last.since() == []


@scenario
async def test_credit_is_counted_over_the_session(peer: Peer) -> None:
    async def work(task: Task, cx: TaskContext) -> None:
        await cx.progress(text=task.input)

    async with serving(worker(work), peer):
        link = await peer.accept(credit=2)
        await link.give(TASK, 1, value="first")
        await link.take("progress_report")
        response = await link.take("task_response")
        link.cut()
        again = await peer.accept(resumed=True, credit=2)
        assert (await again.take("task_response")).message == response.message
        await again.ack(response)
        await again.give(TASK, 2, value="second")
        assert await again.since() == []
        await again.send("credit", {"messages_total": 4})
        assert (await again.take("progress_report")).payload["text"] == "second"
        assert await answered(again) == {"completed": {}}


# --- the end


@scenario
async def test_a_fenced_agent_ends(peer: Peer) -> None:
    running = asyncio.create_task(Client(worker(echo), url=peer.url).run())
    link = await peer.accept()
    await link.send("goodbye", {"reason": "fenced", "text": "a newer process"})
    with pytest.raises(Fenced, match="a newer process.*own id"):
        await running


@scenario
async def test_an_agent_that_misbehaved_ends(peer: Peer) -> None:
    running = asyncio.create_task(serve(worker(echo), url=peer.url))
    link = await peer.accept()
    await link.send("goodbye", {"reason": "misbehaved", "text": "too many messages"})
    with pytest.raises(Dismissed, match="too many messages"):
        await running


@scenario
async def test_a_refused_token_ends_the_agent_and_an_overload_does_not(peer: Peer) -> None:
    running = asyncio.create_task(Client(worker(echo), url=peer.url, token="wrong").run())
    busy = await peer.hello()
    await busy.send("error", {"refusal": {"code": 200, "retry_after_ms": 1}})
    unknown = await peer.hello()
    await unknown.send("error", {"refusal": {"code": 299, "retry_after_ms": 1}})
    link = await peer.hello()
    await link.send("error", {"refusal": {"code": 103, "text": "no such token"}})
    with pytest.raises(Refused, match="the connection was refused: no such token .code 103.; check the token") as raised:
        await running
    assert raised.value.code == 103


@scenario
async def test_a_version_that_was_not_offered_ends_the_agent(peer: Peer) -> None:
    running = asyncio.create_task(Client(worker(echo), url=peer.url).run())
    await peer.accept(version=2)
    with pytest.raises(Refused, match="version 2 was welcomed, 1 was offered"):
        await running


@scenario
async def test_an_agent_that_stops_ends_its_tasks_first(peer: Peer) -> None:
    held = Held()
    client = Client(worker(held.handler()), url=peer.url)
    running = asyncio.create_task(client.run())
    link = await peer.accept()
    await link.give(TASK)
    client.stop(drain_s=20)
    assert (await link.take("goodbye")).payload == {"reason": "stopping", "drain_ms": 20_000}
    do = {"task": {"id": uuid4().bytes, "run": RUN.bytes, "type": "review"}, "fence": 1}
    await link.send("task_request", {"do": do}, message=uuid4())
    assert (await link.take("error")).payload["refusal"]["code"] == 301
    held.go_on.set()
    got = await link.take("task_response")
    assert not running.done()
    await link.ack(got)
    await running
    await link.socket.wait_closed()


@scenario
async def test_an_agent_that_stops_before_it_is_welcomed_leaves(peer: Peer) -> None:
    client = Client(worker(echo), url=peer.url)
    running = asyncio.create_task(client.run())
    link = await peer.hello()
    client.stop()
    await running
    await link.socket.wait_closed()


@scenario
async def test_what_does_not_end_within_the_drain_is_cancelled(peer: Peer) -> None:
    held = Held()
    client = Client(worker(held.handler()), url=peer.url)
    running = asyncio.create_task(client.run())
    link = await peer.accept()
    await link.give(TASK)
    await held.began.wait()
    client.stop(drain_s=0.02)
    await link.take("goodbye")
    assert await answered(link) == {"cancelled": {"reason": "the agent stops"}}
    await running


@scenario
async def test_a_daemon_that_stops_gets_what_is_in_progress(peer: Peer) -> None:
    held = Held()
    running = asyncio.create_task(Client(worker(held.handler()), url=peer.url).run())
    link = await peer.accept()
    await link.give(TASK)
    await link.send("goodbye", {"reason": "stopping", "drain_ms": 20_000})
    held.go_on.set()
    assert await answered(link) == {"completed": {"output": "held"}}
    await running


@scenario
async def test_an_agent_comes_back_to_a_daemon_that_restarts(peer: Peer) -> None:
    held = Held()
    async with serving(worker(held.handler()), peer):
        link = await peer.accept()
        await link.give(TASK)
        await link.send("goodbye", {"reason": "restarting", "drain_ms": 1})
        await link.socket.close()
        again = await peer.accept(resumed=True)
        assert again.hello.payload["unfinished"] == [TASK.bytes]


def test_sigterm_drains(capfd: pytest.CaptureFixture[str]) -> None:
    import os
    import signal

    @scenario
    async def terminated(peer: Peer) -> None:
        running = asyncio.create_task(serve(worker(echo), url=peer.url))
        link = await peer.accept()
        os.kill(os.getpid(), signal.SIGTERM)
        assert (await link.take("goodbye")).payload["reason"] == "stopping"
        await running

    terminated()


# --- emergency stop


@scenario
async def test_an_emergency_stop_needs_no_credit_and_is_acknowledged(peer: Peer) -> None:
    stops: list[tuple[dict[str, Any] | str, bool]] = [
        ("everything", True),
        ({"run": RUN.bytes}, True),
        ({"task": TASK.bytes}, True),
        ({"run": uuid4().bytes}, False),
        ({"agent": uuid4().bytes}, False),
        ({"conversation": uuid4().bytes}, False),
    ]
    for scope, hit in stops:
        held = Held()
        async with serving(worker(held.handler()), peer):
            link = await peer.accept(credit=0)
            await link.give(TASK)
            await held.began.wait()
            message = uuid4()
            await link.send("emergency_stop", {"scope": scope, "reason": "wrong repository"}, message=message)
            assert (await link.take("ack")).payload == {"messages": [message.bytes]}
            await link.send("credit", {"messages_total": 1})
            if hit:
                await held.cancelled.wait()
                assert await answered(link) == {"cancelled": {"reason": "emergency stop: wrong repository"}}
            else:
                assert await link.since() == []
                assert not held.cancelled.is_set()


@scenario
async def test_a_handler_that_does_not_end_does_not_hold_its_answer(peer: Peer) -> None:
    began, go_on = asyncio.Event(), asyncio.Event()

    async def stubborn(task: Task, cx: TaskContext) -> str:
        began.set()
        while not go_on.is_set():
            try:
                await go_on.wait()
            except asyncio.CancelledError:
                await cx.progress(text="still here")
        await cx.progress(text="dropped")
        return "too late"

    async with serving(worker(stubborn), peer) as client:
        link = await peer.accept()
        await link.give(TASK)
        await began.wait()
        await link.send("emergency_stop", {"scope": {"agent": UUID(bytes=link.hello.payload["card"]["id"]).bytes}, "reason": "now"})
        got = await link.next()
        if got.kind == "progress_report":
            got = await link.take("task_response")
        assert got.payload["outcome"] == {"cancelled": {"reason": "emergency stop: now"}}
        go_on.set()
        assert await link.since() == []
        assert client.load() == (0, 0)


# --- garbage


def header(kind: int = 0x10, size: int = 0, version: int = 1, flags: int = 0) -> bytes:
    return struct.pack(">BB16s16s16sqHI", version, kind, *[bytes(16)] * 3, 0, flags, size)


async def works(link: Link) -> None:
    """The agent is well: it does a task."""
    await link.give(uuid4(), value="well")
    assert await answered(link) == {"completed": {"output": "well"}}


@scenario
async def test_garbage_is_refused_and_the_agent_goes_on(peer: Peer) -> None:
    garbage: list[str | bytes] = [b"", b"\x00" * 63, header(version=9), header(kind=0xEE), header(size=5), header(flags=2)]
    garbage += [header(flags=1, size=3) + b"abc", header(size=1) + b"\xc1", "no json", "{}", "[" * 100_000, '{"type": [], "payload": 1}']
    async with serving(worker(echo), peer):
        link = await peer.accept()
        for data in garbage:
            await link.socket.send(data)
            assert await link.since() == []
        await works(link)


@scenario
async def test_a_wrong_message_is_refused_by_its_id(peer: Peer) -> None:
    async with serving(worker(echo), peer):
        link = await peer.accept()
        wrong: list[tuple[Any, int, str]] = [
            ({"do": {"fence": 1}}, 100, "task_request.do: the field task is missing"),
            ({"undo": {}}, 102, "the variant 'undo' is not known"),
            ({"cancel": {"task": "no-uuid", "fence": 1}}, 100, "8-4-4-4-12"),
            ({"cancel": {"task": TASK.bytes, "fence": -1}}, 100, "is not in 0 to"),
            ({"cancel": {"task": TASK.bytes, "fence": True}}, 100, "an integer is expected, and a bool is given"),
            ({"do": ["x"] * 70_000}, 101, "values"),
            ({"do": "x" * 1_100_000}, 101, "1048576 are the limit"),
        ]
        for payload, code, text in wrong:
            message = uuid4()
            await link.send("task_request", payload, message=message)
            error = (await link.take("error")).payload
            assert error["message"] == message.bytes
            assert error["refusal"]["code"] == code and text in error["refusal"]["text"], error
        await works(link)


@scenario
async def test_a_text_frame_is_read_too(peer: Peer) -> None:
    async with serving(worker(echo), peer):
        link = await peer.accept()
        task = '{"id": "00000000-0000-0000-0000-00000000000c", "run": "00000000-0000-0000-0000-00000000000d", "type": "review"'
        await link.socket.send('{"type": "task_request", "payload": {"do": {"fence": 9, "task": ' + task + ', "input": 5}}}}')
        assert await answered(link) == {"completed": {"output": 5}}


@scenario
async def test_a_batch_is_taken_in_order(peer: Peer) -> None:
    async with serving(worker(echo, concurrency=3), peer):
        link = await peer.accept()
        do = [{"task": {"id": UUID(int=n).bytes, "run": RUN.bytes, "type": "review", "input": n}, "fence": 1} for n in (1, 2, 3)]
        frames = [encode("task_request", {"do": one}) for one in do]
        body = struct.pack(">I", 3) + b"".join(struct.pack(">I", len(frame)) + frame for frame in frames)
        await link.socket.send(header(flags=4, size=len(body)) + body)
        assert [await answered(link) for _ in do] == [{"completed": {"output": n}} for n in (1, 2, 3)]


def test_a_wrong_url_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="is no URL of a WebSocket: give one such as"):
        run(worker(echo), url="http://127.0.0.1:1")
