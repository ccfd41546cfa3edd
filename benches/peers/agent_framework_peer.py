"""Microsoft Agent Framework: workflows that fan out to executors and in again, and a chain of them."""
import asyncio
import logging
from dataclasses import dataclass
from typing import Never

from agent_framework import Executor, WorkflowBuilder, WorkflowContext, handler

from workloads import (
    AGENTS, DOCUMENT, DOCUMENTS, LEADERS, MISSIONS, PARTS, ROUNDS, STAGES, TICKED, WEIGHTS, WORKERS,
    Timed, check, check_counts, check_documents, check_missions, check_rounds, chosen, decide, in_flight, tasks,
)

logging.disable(logging.CRITICAL)


@dataclass
class Start:
    parts: int


@dataclass
class Part:
    agent: str
    number: int


@dataclass
class Square:
    value: int


class Split(Executor):
    @handler
    async def split(self, message: Start, ctx: WorkflowContext[Part]) -> None:
        for number in range(message.parts):
            agent = f"agent{number % AGENTS}"
            await ctx.send_message(Part(agent, number), target_id=agent)


class Worker(Executor):
    @handler
    async def square(self, message: Part, ctx: WorkflowContext[Square]) -> None:
        await ctx.send_message(Square(message.number * message.number))


class Reduce(Executor):
    count = 0
    total = 0

    @handler
    async def add(self, message: Square, ctx: WorkflowContext[Never, int]) -> None:
        self.count += 1
        self.total += message.value
        if self.count == PARTS:
            await ctx.yield_output(self.total)


async def parts():
    split, reduce = Split(id="split"), Reduce(id="reduce")
    workers = [Worker(id=f"agent{place}") for place in range(AGENTS)]
    builder = WorkflowBuilder(start_executor=split).add_fan_out_edges(split, workers)
    for worker in workers:
        builder = builder.add_edge(worker, reduce)
    workflow = builder.build()
    with Timed(PARTS):
        outputs = (await workflow.run(Start(PARTS))).get_outputs()
        check(outputs[0])



@dataclass
class Text:
    text: str


class Stage(Executor):
    @handler
    async def hand_on(self, message: Text, ctx: WorkflowContext[Text]) -> None:
        await ctx.send_message(Text(message.text))


class Last(Executor):
    @handler
    async def hand_out(self, message: Text, ctx: WorkflowContext[Never, str]) -> None:
        await ctx.yield_output(message.text)


def chain():
    stages = [*(Stage(id=f"stage{place}") for place in range(STAGES - 1)), Last(id="last")]
    builder = WorkflowBuilder(start_executor=stages[0])
    for edge in zip(stages, stages[1:]):
        builder = builder.add_edge(*edge)
    return builder.build()


async def documents():
    # A workflow runs one thing at a time: there is one for each document.
    async def one(_):
        return (await chain().run(Text(DOCUMENT))).get_outputs()[0]

    with Timed(DOCUMENTS):
        check_documents(await in_flight(DOCUMENTS, one))


@dataclass
class Question:
    number: int


@dataclass
class Vote:
    yes: bool
    weight: int


class Ask(Executor):
    @handler
    async def ask(self, message: Question, ctx: WorkflowContext[Question]) -> None:
        await ctx.send_message(message)


class Voter(Executor):
    def __init__(self, weight):
        super().__init__(id=f"voter{weight}")
        self.weight = weight

    @handler
    async def vote(self, message: Question, ctx: WorkflowContext[Vote]) -> None:
        await ctx.send_message(Vote(True, self.weight))


class Count(Executor):
    @handler
    async def count(self, message: list[Vote], ctx: WorkflowContext[Never, bool]) -> None:
        await ctx.yield_output(decide([(vote.yes, vote.weight) for vote in message]))


def election():
    ask, voters, count = Ask(id="ask"), [Voter(weight) for weight in WEIGHTS], Count(id="count")
    builder = WorkflowBuilder(start_executor=ask)
    return builder.add_fan_out_edges(ask, voters).add_fan_in_edges(voters, count).build()


async def rounds():
    async def one(number):
        return (await election().run(Question(number))).get_outputs()[0]

    with Timed(ROUNDS):
        check_rounds(await in_flight(ROUNDS, one))


@dataclass
class Mission:
    teams: list[list[int]]


@dataclass
class Team:
    leader: str
    tasks: list[int]


@dataclass
class Task:
    number: int


@dataclass
class Output:
    value: int


class Supervisor(Executor):
    @handler
    async def supervise(self, message: Mission, ctx: WorkflowContext[Team]) -> None:
        for place, team in enumerate(message.teams):
            await ctx.send_message(Team(f"leader{place}", team), target_id=f"leader{place}")


class Leader(Executor):
    @handler
    async def lead(self, message: Team, ctx: WorkflowContext[Task]) -> None:
        for place, number in enumerate(message.tasks):
            await ctx.send_message(Task(number), target_id=f"{self.id}-worker{place}")


class Adder(Executor):
    @handler
    async def work(self, message: Task, ctx: WorkflowContext[Output]) -> None:
        await ctx.send_message(Output(message.number + 1))


class Sum(Executor):
    @handler
    async def add(self, message: list[Output], ctx: WorkflowContext[Never, int]) -> None:
        await ctx.yield_output(sum(output.value for output in message))


def hierarchy():
    supervisor, integrate = Supervisor(id="supervisor"), Sum(id="integrate")
    leaders = [Leader(id=f"leader{place}") for place in range(LEADERS)]
    builder = WorkflowBuilder(start_executor=supervisor).add_fan_out_edges(supervisor, leaders)
    workers = []
    for leader in leaders:
        own = [Adder(id=f"{leader.id}-worker{place}") for place in range(WORKERS)]
        builder = builder.add_fan_out_edges(leader, own)
        workers += own
    return builder.add_fan_in_edges(workers, integrate).build()


async def missions():
    # A workflow runs one thing at a time: there is one for each mission.
    async def one(number):
        return (await hierarchy().run(Mission(tasks(number)))).get_outputs()[0]

    with Timed(MISSIONS):
        check_missions(await in_flight(MISSIONS, one))


@dataclass
class Counts:
    counts: list[int]


@dataclass
class Count:
    agent: str
    count: int


class Tick(Executor):
    @handler
    async def tick(self, message: Counts, ctx: WorkflowContext[Count]) -> None:
        for place, count in enumerate(message.counts):
            await ctx.send_message(Count(f"agent{place}", count), target_id=f"agent{place}")


class Agent(Executor):
    @handler
    async def count(self, message: Count, ctx: WorkflowContext[Count]) -> None:
        await ctx.send_message(Count(self.id, message.count + 1))


class Gather(Executor):
    @handler
    async def gather(self, message: list[Count], ctx: WorkflowContext[Never, list]) -> None:
        said = {own.agent: own.count for own in message}
        await ctx.yield_output([said[f"agent{place}"] for place in range(len(message))])


async def agent_ticks():
    agents, ticks = TICKED["agent_framework"]
    tick, gather = Tick(id="tick"), Gather(id="gather")
    swarm = [Agent(id=f"agent{place}") for place in range(agents)]
    builder = WorkflowBuilder(start_executor=tick).add_fan_out_edges(tick, swarm)
    workflow, counts = builder.add_fan_in_edges(swarm, gather).build(), [0] * agents
    with Timed(agents * ticks):
        for _ in range(ticks):
            counts = (await workflow.run(Counts(counts))).get_outputs()[0]
        check_counts(counts, agents, ticks)


asyncio.run(chosen(parts, documents, rounds, missions, agent_ticks)())
