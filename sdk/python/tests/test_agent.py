"""An agent against a scripted daemon: tasks, their ends, votes, conversations, events."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import pytest
from peer import RUN, Link, Peer, scenario

from synod import (
    Agent,
    Ballot,
    Call,
    Client,
    Close,
    Completed,
    Context,
    Event,
    Evidence,
    NoAnswer,
    Performative,
    Refused,
    Reply,
    Said,
    Task,
    TaskContext,
    TaskFailed,
    TaskRejected,
    agent,
)
from synod.payload import FailedPart, Refusal

SECOND_NS = 1_000_000_000
TASK = UUID(int=0xC)


@asynccontextmanager
async def serving(made: Agent, peer: Peer) -> AsyncIterator[Client]:
    """Runs an agent beside the test, and ends it."""
    client = Client(made, url=peer.url, token="secret")
    running = asyncio.create_task(client.run())
    try:
        yield client
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def worker(handler: Callable[[Task, TaskContext], Any], **card: Any) -> Agent:
    """An agent of one handler."""
    return agent(name="worker", capabilities=["review"], **card)(handler)


async def echo(task: Task, cx: TaskContext) -> Any:
    return task.input


async def answered(link: Link) -> Any:
    """The outcome of the next response, acknowledged."""
    got = await link.take("task_response")
    await link.ack(got)
    return got.payload["outcome"]


class Held:
    """A handler that tells when it began and how it ended."""

    def __init__(self) -> None:
        self.began, self.cancelled, self.go_on = asyncio.Event(), asyncio.Event(), asyncio.Event()

    def handler(self) -> Any:
        async def hold(task: Task, cx: TaskContext) -> Any:
            self.began.set()
            try:
                await self.go_on.wait()
            except asyncio.CancelledError:
                self.cancelled.set()
                raise
            return "held"

        return hold


# --- joining


@scenario
async def test_an_agent_says_who_it_is(peer: Peer) -> None:
    made = agent(name="reviewer", capabilities=["review", "lang:python"], concurrency=4, labels={"zone": "eu"})(echo)
    async with serving(made, peer):
        link = await peer.accept()
        hello = link.hello.payload
        assert hello["versions"] == [1] and hello["token"] == "secret" and hello["credit"] == 64
        assert hello["card"] == {
            "id": made.card.id.bytes,
            "name": "reviewer",
            "capabilities": ["review", "lang:python"],
            "concurrency": 4,
            "labels": {"zone": "eu"},
        }
        assert "resume" not in hello and "unfinished" not in hello
        assert link.socket.request is not None and link.socket.request.path == "/v1/agents"
        assert link.socket.subprotocol == "synod.v1"


def test_a_wrong_card_is_refused_where_it_is_written() -> None:
    with pytest.raises(Exception, match=r"card\.capabilities\[0\]: 0 bytes, and 1 are the least; give more"):
        agent(name="reviewer", capabilities=[""])(echo)
    with pytest.raises(TypeError, match="define it by `async def`"):
        agent(name="reviewer")(lambda task, cx: None)


# --- how tasks end


@scenario
async def test_a_task_is_done(peer: Peer) -> None:
    async def work(task: Task, cx: TaskContext) -> Any:
        cx.use(tokens_in=10, usd_micros=3)
        cx.use(tokens_in=2, tokens_out=5)
        return {"type": task.type, "run": str(task.run), "attempt": cx.attempt, "left": cx.time_left_s, "input": task.input}

    async with serving(worker(work), peer):
        link = await peer.accept()
        message = await link.give(TASK, 9, value=[1, None, "a"])
        got = await link.take("task_response")
        assert got.answers == message
        assert got.payload["task"] == TASK.bytes and got.payload["fence"] == 9
        output = {"type": "review", "run": str(RUN), "attempt": 1, "left": None, "input": [1, None, "a"]}
        assert got.payload["outcome"] == {"completed": {"output": output}}
        usage = got.payload["usage"]
        assert usage.pop("wall_ms") >= 0
        assert usage == {"tokens_in": 12, "tokens_out": 5, "usd_micros": 3}


@scenario
async def test_an_empty_output_is_not_none(peer: Peer) -> None:
    async with serving(worker(echo), peer):
        link = await peer.accept()
        for fence, value in enumerate([{}, [], "", 0, False], 1):
            await link.give(TASK, fence, value=value)
            assert await answered(link) == {"completed": {"output": value}}
        await link.give(TASK, 9)
        assert await answered(link) == {"completed": {}}


@scenario
async def test_a_task_ends_as_its_handler_says(peer: Peer) -> None:
    async def work(task: Task, cx: TaskContext) -> Any:
        match task.type:
            case "fails":
                raise TaskFailed("2 of 9 tests fail")
            case "later":
                raise TaskFailed("busy", 200, retry_after_ms=250)
            case "rejects":
                raise TaskRejected("no compiler here")
            case "panics":
                return {}["lines"]
            case "cancels":
                raise asyncio.CancelledError
            case "huge":
                return "x" * 2_000_000
            case "foreign":
                return {1: object()}
        return Completed(output=1, failed_parts=[FailedPart(task=TASK, name="b.rs", refusal=Refusal(code=303))])

    expected = {
        "fails": {"failed": {"code": 112, "text": "2 of 9 tests fail"}},
        "later": {"failed": {"code": 200, "text": "busy", "retry_after_ms": 250}},
        "rejects": {"rejected": {"code": 300, "text": "no compiler here"}},
        "panics": {"failed": {"code": 112, "text": "KeyError: 'lines'"}},
        "cancels": {"failed": {"code": 112, "text": "the handler was cancelled from within"}},
        "parts": {"completed": {"output": 1, "failed_parts": [{"task": TASK.bytes, "name": "b.rs", "refusal": {"code": 303}}]}},
    }
    async with serving(worker(work), peer):
        link = await peer.accept()
        for fence, (kind, outcome) in enumerate(expected.items(), 1):
            await link.give(TASK, fence, kind=kind)
            assert await answered(link) == outcome
        await link.give(TASK, 20, kind="huge")
        assert (await answered(link))["failed"]["code"] == 101
        await link.give(TASK, 21, kind="foreign")
        failed = (await answered(link))["failed"]
        assert failed["code"] == 100 and "outcome.completed.output" in failed["text"]


@scenario
async def test_an_output_keeps_to_the_limits_of_the_daemon(peer: Peer) -> None:
    async with serving(worker(echo), peer):
        link = await peer.accept(limits={"payload_bytes": 2000, "values": 50})
        await link.give(TASK, 1, value=list(range(40)))
        assert (await answered(link))["failed"]["code"] == 101
        await link.give(TASK, 2, value=os.urandom(3000).hex())
        assert (await answered(link))["failed"]["code"] == 101
        await link.give(TASK, 3, value=[1])
        assert await answered(link) == {"completed": {"output": [1]}}


@scenario
async def test_a_cancelled_task_ends_its_coroutine(peer: Peer) -> None:
    held = Held()
    async with serving(worker(held.handler()), peer):
        link = await peer.accept()
        await link.give(TASK, 3)
        await held.began.wait()
        await link.send("task_request", {"cancel": {"task": TASK.bytes, "fence": 2, "reason": "old"}}, message=uuid4())
        await link.take("ack")
        await link.send("task_request", {"cancel": {"task": TASK.bytes, "fence": 3, "reason": "not needed"}})
        assert await answered(link) == {"cancelled": {"reason": "not needed"}}
        assert held.cancelled.is_set()


@scenario
async def test_a_deadline_ends_the_coroutine(peer: Peer) -> None:
    held = Held()
    async with serving(worker(held.handler()), peer):
        link = await peer.accept()
        await link.give(TASK, left_ns=SECOND_NS // 20)
        failed = (await answered(link))["failed"]
        assert failed["code"] == 106
        assert held.cancelled.is_set()


@scenario
async def test_a_task_without_time_is_refused(peer: Peer) -> None:
    async with serving(worker(echo), peer):
        link = await peer.accept()
        message = uuid4()
        do = {"task": {"id": TASK.bytes, "run": RUN.bytes, "type": "review"}, "fence": 1}
        await link.send("task_request", {"do": do}, message=message, left_ns=0)
        error = (await link.take("error")).payload
        assert error["refusal"]["code"] == 106
        assert (error["message"], error["task"]) == (message.bytes, TASK.bytes)


@scenario
async def test_no_more_tasks_run_at_once_than_the_card_says(peer: Peer) -> None:
    held, most, now = Held(), 0, 0

    async def work(task: Task, cx: TaskContext) -> None:
        nonlocal most, now
        now += 1
        most = max(most, now)
        await held.go_on.wait()
        now -= 1

    async with serving(worker(work, concurrency=2), peer) as client:
        link = await peer.accept()
        for number in range(4):
            await link.give(UUID(int=number + 1))
        do = {"task": {"id": TASK.bytes, "run": RUN.bytes, "type": "review"}, "fence": 1}
        await link.send("task_request", {"do": do}, message=uuid4())
        refusal = (await link.take("error")).payload["refusal"]
        assert refusal["code"] == 200 and refusal["retry_after_ms"] == 1000
        assert await link.since() == []
        assert client.load() == (2, 2)
        held.go_on.set()
        for _ in range(4):
            assert await answered(link) == {"completed": {}}
        assert most == 2


@scenario
async def test_a_newer_fence_takes_over_and_an_older_one_is_stale(peer: Peer) -> None:
    fences: list[int] = []
    go_on = asyncio.Event()

    async def work(task: Task, cx: TaskContext) -> Any:
        fences.append(task.input)
        if task.input == 5:
            await asyncio.Event().wait()
        await go_on.wait()
        return task.input

    async with serving(worker(work, concurrency=2), peer):
        link = await peer.accept()
        await link.give(TASK, 5, value=5)
        await link.give(TASK, 5, value=5)
        await link.give(TASK, 6, value=6)
        do = {"task": {"id": TASK.bytes, "run": RUN.bytes, "type": "review"}, "fence": 4}
        await link.send("task_request", {"do": do}, message=uuid4())
        assert (await link.take("error")).payload["refusal"]["code"] == 110
        go_on.set()
        got = await link.take("task_response")
        assert (got.payload["fence"], got.payload["outcome"]) == (6, {"completed": {"output": 6}})
        assert fences == [5, 6]
        assert await link.since() == []


@scenario
async def test_a_repeated_message_has_its_effect_once_and_its_ack_again(peer: Peer) -> None:
    async with serving(worker(echo), peer):
        link = await peer.accept()
        message = await link.give(TASK, 1)
        await answered(link)
        await link.give(TASK, 1, message=message)
        assert await link.since() == []


@scenario
async def test_a_repeated_call_has_one_ballot_and_a_repeated_refusal_is_the_same(peer: Peer) -> None:
    async with serving(voting(Ballot("ship")), peer):
        link = await peer.accept()
        voted, asked = uuid4(), uuid4()
        for _ in range(2):
            await link.send("consensus_vote", call(), message=voted)
            await link.send("coordination", {"ask": {"content": 1}}, message=asked)
        kinds = [(await link.next()).kind for _ in range(3)] + [got.kind for got in await link.since()]
        assert sorted(kinds) == ["consensus_vote", "error", "error"]


# --- reports


@scenario
async def test_progress_and_partial_output_are_reported_in_order(peer: Peer) -> None:
    async def work(task: Task, cx: TaskContext) -> None:
        await cx.progress(0.5, "half", milestone="middle")
        cx.use(tokens_out=7)
        await cx.stream({"line": 1})

    async with serving(worker(work), peer):
        link = await peer.accept()
        await link.give(TASK, 4)
        first, second = await link.take("progress_report"), await link.take("progress_report")
        assert first.payload == {
            "task": TASK.bytes,
            "fence": 4,
            "sequence": 1,
            "fraction": 0.5,
            "text": "half",
            "milestone": "middle",
        }
        usage = {"tokens_in": 0, "tokens_out": 7, "usd_micros": 0, "wall_ms": 0}
        assert second.payload == {"task": TASK.bytes, "fence": 4, "sequence": 2, "partial": {"line": 1}, "usage": usage}
        assert not first.streaming and second.streaming
        assert await answered(link) == {"completed": {}}


@scenario
async def test_a_wrong_report_is_refused_where_it_is_made(peer: Peer) -> None:
    async def work(task: Task, cx: TaskContext) -> None:
        await cx.progress(1.5)

    async with serving(worker(work), peer):
        link = await peer.accept()
        await link.give(TASK)
        failed = (await answered(link))["failed"]
        assert failed["text"].startswith("ProtocolError: progress_report.fraction: 1.5 is not in 0 to 1")


# --- votes


def voting(ballot: Ballot) -> Agent:
    made = worker(echo)

    @made.vote
    async def vote(call: Call, cx: Context) -> Ballot:
        assert call.question == "Is release 2 ready?" and call.context == {"failed": 0}
        return ballot

    return made


def call(**more: Any) -> dict[str, Any]:
    base = {"id": TASK.bytes, "epoch": 2, "question": "Is release 2 ready?", "choices": ["ship", "hold"], "context": {"failed": 0}}
    return {"call": base | more}


@scenario
async def test_a_vote_is_answered_by_a_ballot(peer: Peer) -> None:
    made = voting(Ballot("ship", 0.9, "all tests pass", [Evidence(title="tests", location="ci/812")]))
    async with serving(made, peer):
        link = await peer.accept()
        for sequence in (1, 2):
            message, chair, room = uuid4(), uuid4(), uuid4()
            await link.send("consensus_vote", call(), message=message, sender=chair, conversation=room, left_ns=60 * SECOND_NS)
            got = await link.take("consensus_vote")
            assert (got.answers, got.recipient, got.conversation) == (message, chair, room)
            assert got.payload["cast"] == {
                "proposal": TASK.bytes,
                "voter": made.card.id.bytes,
                "epoch": 2,
                "sequence": sequence,
                "choice": {"one": "ship"},
                "confidence": 0.9,
                "reasoning": "all tests pass",
                "evidence": [{"title": "tests", "location": "ci/812"}],
            }


@scenario
async def test_a_ballot_has_the_form_of_the_vote(peer: Peer) -> None:
    choices: list[tuple[str, Any, Any]] = [
        ("ranking", ["hold", "ship"], {"ranking": ["hold", "ship"]}),
        ("set", ["ship"], {"set": ["ship"]}),
        ("one", None, "abstain"),
    ]
    for form, choice, wanted in choices:
        async with serving(voting(Ballot(choice)), peer):
            link = await peer.accept()
            await link.send("consensus_vote", call(form=form), message=uuid4())
            assert (await link.take("consensus_vote")).payload["cast"]["choice"] == wanted
    for form, choice in (("one", ["ship"]), ("set", "ship"), ("one", "wait")):
        async with serving(voting(Ballot(choice)), peer):
            link = await peer.accept()
            message = uuid4()
            await link.send("consensus_vote", call(form=form), message=message)
            error = (await link.take("error")).payload
            assert error["message"] == message.bytes and "does not fit the vote" in error["refusal"]["text"]


@scenario
async def test_a_vote_ends_at_its_deadline_and_its_close_is_heard(peer: Peer) -> None:
    made, closed = worker(echo), asyncio.get_running_loop().create_future()

    @made.vote
    async def vote(call: Call, cx: Context) -> Ballot:
        await asyncio.Event().wait()
        return Ballot(None)

    @made.decided
    async def decided(close: Close, cx: Context) -> None:
        closed.set_result((close.outcome.value, close.choice))

    async with serving(made, peer):
        link = await peer.accept()
        await link.send("consensus_vote", call(), message=uuid4(), left_ns=SECOND_NS // 20)
        assert (await link.take("error")).payload["refusal"]["code"] == 106
        await link.send("consensus_vote", {"close": {"proposal": TASK.bytes, "outcome": "vetoed", "choice": "hold"}})
        assert await closed == ("vetoed", "hold")


@scenario
async def test_what_has_no_handler_is_refused_by_name(peer: Peer) -> None:
    async with serving(worker(echo), peer):
        link = await peer.accept()
        for kind, payload in (("consensus_vote", call()), ("coordination", {"ask": {"content": 1}})):
            message = uuid4()
            await link.send(kind, payload, message=message)
            error = (await link.take("error")).payload
            assert error["refusal"]["code"] == 102 and error["message"] == message.bytes


# --- conversations and events


@scenario
async def test_an_ask_is_answered(peer: Peer) -> None:
    made = worker(echo)

    @made.asked
    async def asked(said: Said, cx: Context) -> Any:
        if said.performative is Performative.CFP:
            return Reply({"usd_micros": 5}, Performative.PROPOSE)
        return {"heard": said.content}

    async with serving(made, peer):
        link = await peer.accept()
        message, other, room = uuid4(), uuid4(), uuid4()
        await link.send("coordination", {"ask": {"topic": "plan", "content": 7}}, message=message, sender=other, conversation=room)
        got = await link.take("coordination")
        assert got.payload == {"answer": {"topic": "plan", "content": {"heard": 7}}}
        assert (got.answers, got.recipient, got.conversation) == (message, other, room)


@scenario
async def test_an_agent_asks_tells_opens_and_publishes(peer: Peer) -> None:
    other = uuid4()

    async def work(task: Task, cx: TaskContext) -> Any:
        room = await cx.open([other], topic="release", messages_max=10, lasts_s=2)
        await cx.tell(other, "hi", conversation=room)
        await cx.broadcast([1], conversation=room)
        event = await cx.publish("reviewed", {"lines": 3}, run=task.run)
        said = await cx.ask(other, "ready?", timeout_s=60, conversation=room, performative=Performative.REQUEST)
        return [str(room), str(event), said.content, said.topic]

    async with serving(worker(work), peer):
        link = await peer.accept()
        await link.give(TASK)
        opened = await link.take("coordination")
        assert opened.payload == {"open": {"topic": "release", "members": [other.bytes], "messages_max": 10, "lasts_ms": 2000}}
        told = await link.take("coordination")
        assert told.payload == {"tell": {"content": "hi"}}
        assert (told.recipient, told.conversation) == (other, opened.conversation)
        spoken = await link.take("coordination")
        assert spoken.payload == {"broadcast": {"content": [1]}} and spoken.recipient == UUID(int=2**128 - 1)
        event = (await link.take("coordination")).payload["event"]
        assert (event["type"], event["source"], event["data"], event["run"]) == ("reviewed", "agent/worker", {"lines": 3}, RUN.bytes)
        ask = await link.take("coordination")
        assert ask.payload == {"ask": {"content": "ready?"}} and 4 in ask.tags and ask.tags[6] == b"\x01"
        await link.send("coordination", {"answer": {"topic": "t", "content": "yes"}}, answers=ask.message, message=uuid4())
        output = [str(opened.conversation), str(UUID(bytes=event["id"])), "yes", "t"]
        assert await answered(link) == {"completed": {"output": output}}


@scenario
async def test_an_ask_that_is_refused_or_not_answered_raises(peer: Peer) -> None:
    async def work(task: Task, cx: TaskContext) -> Any:
        raised: list[str] = []
        try:
            await cx.ask(uuid4(), 1, timeout_s=60)
        except Refused as error:
            raised.append(str(error).split(" was ")[1])
        try:
            await cx.ask(uuid4(), 1, timeout_s=0.05)
        except NoAnswer as error:
            raised.append(str(error).split(" has ")[1])
        return raised

    async with serving(worker(work), peer):
        link = await peer.accept()
        await link.give(TASK)
        ask = await link.take("coordination")
        await link.send("error", {"refusal": {"code": 104, "text": "nobody"}, "message": ask.message.bytes})
        await link.take("coordination")
        expected = ["refused: nobody (code 104); change it before trying again", "not answered in 0.05 s; ask again, or allow more time"]
        assert await answered(link) == {"completed": {"output": expected}}


@scenario
async def test_events_are_subscribed_to_and_handled(peer: Peer) -> None:
    made = worker(echo)
    seen: asyncio.Queue[Any] = asyncio.Queue()

    @made.on("task_completed", "milestone_reached")
    async def happened(event: Event, cx: Context) -> None:
        seen.put_nowait(event.data)

    async with serving(made, peer):
        link = await peer.accept()
        got = await link.take("coordination")
        assert got.payload == {"subscribe": {"types": ["task_completed", "milestone_reached"]}}
        for kind, data in (("task_completed", 1), ("other", 2), ("milestone_reached", 3)):
            event = {"id": uuid4().bytes, "type": kind, "source": "bus", "data": data}
            await link.send("coordination", {"event": event}, message=uuid4())
        assert [await seen.get(), await seen.get()] == [1, 3]
        link.cut()
        again = await peer.accept(resumed=True)
        assert await again.since() == []


@scenario
async def test_a_tell_is_heard(peer: Peer) -> None:
    made, heard = worker(echo), asyncio.get_running_loop().create_future()

    @made.told
    async def told(said: Said, cx: Context) -> None:
        heard.set_result((said.content, said.sender))

    async with serving(made, peer):
        link = await peer.accept()
        sender = uuid4()
        await link.send("coordination", {"tell": {"content": "hi"}}, message=uuid4(), sender=sender)
        assert await heard == ("hi", sender)
