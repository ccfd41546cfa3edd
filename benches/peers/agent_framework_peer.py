"""Microsoft Agent Framework: workflows that fan out to executors and in again, and a chain of them."""
import asyncio
import logging
from dataclasses import dataclass
from typing import Never

from agent_framework import Executor, WorkflowBuilder, WorkflowContext, handler

from workloads import (
    AGENTS, DOCUMENT, DOCUMENTS, PARTS, ROUNDS, STAGES, WEIGHTS,
    Timed, check, check_documents, check_rounds, chosen, decide, in_flight,
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


asyncio.run(chosen(parts, documents, rounds)())
