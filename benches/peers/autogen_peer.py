"""AutoGen core, its runtime of one thread in one process."""
import asyncio
from dataclasses import dataclass

from autogen_core import AgentId, MessageContext, RoutedAgent, SingleThreadedAgentRuntime, message_handler

from workloads import (
    AGENTS, DOCUMENT, DOCUMENTS, LEADERS, MISSIONS, PARTS, ROUNDS, STAGES, TICKED, WEIGHTS, WORKERS,
    Timed, check, check_counts, check_documents, check_missions, check_rounds, chosen, decide, in_flight, tasks,
)


@dataclass
class Number:
    value: int


@dataclass
class Text:
    text: str


@dataclass
class Vote:
    yes: bool
    weight: int


class Square(RoutedAgent):
    def __init__(self):
        super().__init__("squares a number")

    @message_handler
    async def square(self, message: Number, ctx: MessageContext) -> Number:
        return Number(message.value * message.value)


class Stage(RoutedAgent):
    def __init__(self):
        super().__init__("hands a document on")

    @message_handler
    async def hand_on(self, message: Text, ctx: MessageContext) -> Text:
        return Text(message.text)


class Voter(RoutedAgent):
    def __init__(self):
        super().__init__("says yes")

    @message_handler
    async def vote(self, message: Number, ctx: MessageContext) -> Vote:
        return Vote(True, WEIGHTS[int(self.id.key)])


@dataclass
class Mission:
    number: int


@dataclass
class Team:
    tasks: list[int]


class Worker(RoutedAgent):
    def __init__(self):
        super().__init__("adds one")

    @message_handler
    async def work(self, message: Number, ctx: MessageContext) -> Number:
        return Number(message.value + 1)


class Leader(RoutedAgent):
    def __init__(self):
        super().__init__("has its workers work")

    @message_handler
    async def lead(self, message: Team, ctx: MessageContext) -> Number:
        first = int(self.id.key) * WORKERS
        workers = (AgentId("worker", str(first + place)) for place in range(WORKERS))
        asks = (self.send_message(Number(task), worker) for task, worker in zip(message.tasks, workers))
        return Number(sum(answer.value for answer in await asyncio.gather(*asks)))


class Supervisor(RoutedAgent):
    def __init__(self):
        super().__init__("has its leaders lead")

    @message_handler
    async def supervise(self, message: Mission, ctx: MessageContext) -> Number:
        leaders = (AgentId("leader", str(leader)) for leader in range(LEADERS))
        asks = (self.send_message(Team(team), leader) for team, leader in zip(tasks(message.number), leaders))
        return Number(sum(answer.value for answer in await asyncio.gather(*asks)))


async def parts(runtime):
    with Timed(PARTS):
        asks = (runtime.send_message(Number(n), AgentId("square", str(n % AGENTS))) for n in range(PARTS))
        check(sum(answer.value for answer in await asyncio.gather(*asks)))


async def documents(runtime):
    async def one(_):
        document = Text(DOCUMENT)
        for stage in range(STAGES):
            document = await runtime.send_message(document, AgentId("stage", str(stage)))
        return document.text

    with Timed(DOCUMENTS):
        check_documents(await in_flight(DOCUMENTS, one))


async def rounds(runtime):
    async def one(number):
        asks = (runtime.send_message(Number(number), AgentId("voter", str(voter))) for voter in range(len(WEIGHTS)))
        return decide([(vote.yes, vote.weight) for vote in await asyncio.gather(*asks)])

    with Timed(ROUNDS):
        check_rounds(await in_flight(ROUNDS, one))


async def missions(runtime):
    async def one(mission):
        return (await runtime.send_message(Mission(mission), AgentId("supervisor", "0"))).value

    with Timed(MISSIONS):
        check_missions(await in_flight(MISSIONS, one))


async def agent_ticks(runtime):
    agents, ticks = TICKED["autogen"]

    async def tick(counts):
        asks = (runtime.send_message(Number(count), AgentId("worker", str(n))) for n, count in enumerate(counts))
        return [answer.value for answer in await asyncio.gather(*asks)]

    # Agents are made by their first message.
    await tick([0] * agents)
    counts = [0] * agents
    with Timed(agents * ticks):
        for _ in range(ticks):
            counts = await tick(counts)
        check_counts(counts, agents, ticks)


async def main():
    runtime = SingleThreadedAgentRuntime()
    for name, agent in [
        ("square", Square), ("stage", Stage), ("voter", Voter),
        ("worker", Worker), ("leader", Leader), ("supervisor", Supervisor),
    ]:
        await agent.register(runtime, name, agent)
    runtime.start()
    await chosen(parts, documents, rounds, missions, agent_ticks)(runtime)
    await runtime.stop()


asyncio.run(main())
