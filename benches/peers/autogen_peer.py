"""AutoGen core, its runtime of one thread in one process."""
import asyncio
from dataclasses import dataclass

from autogen_core import AgentId, MessageContext, RoutedAgent, SingleThreadedAgentRuntime, message_handler

from workloads import (
    AGENTS, DOCUMENT, DOCUMENTS, PARTS, ROUNDS, STAGES, WEIGHTS,
    Timed, check, check_documents, check_rounds, chosen, decide, in_flight,
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


async def main():
    runtime = SingleThreadedAgentRuntime()
    for name, agent in [("square", Square), ("stage", Stage), ("voter", Voter)]:
        await agent.register(runtime, name, agent)
    runtime.start()
    await chosen(parts, documents, rounds)(runtime)
    await runtime.stop()


asyncio.run(main())
