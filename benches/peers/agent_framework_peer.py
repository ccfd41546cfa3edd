"""Microsoft Agent Framework: a workflow that fans out to executors and in again."""
import asyncio
import logging
from dataclasses import dataclass
from typing import Never

from agent_framework import Executor, WorkflowBuilder, WorkflowContext, handler

from parts import AGENTS, PARTS, Timed, check

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


async def main():
    split, reduce = Split(id="split"), Reduce(id="reduce")
    workers = [Worker(id=f"agent{place}") for place in range(AGENTS)]
    builder = WorkflowBuilder(start_executor=split).add_fan_out_edges(split, workers)
    for worker in workers:
        builder = builder.add_edge(worker, reduce)
    workflow = builder.build()
    with Timed():
        outputs = (await workflow.run(Start(PARTS))).get_outputs()
        check(outputs[0])


asyncio.run(main())
