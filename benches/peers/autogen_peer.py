"""AutoGen core, its runtime of one thread in one process."""
import asyncio
from dataclasses import dataclass

from autogen_core import AgentId, MessageContext, RoutedAgent, SingleThreadedAgentRuntime, message_handler

from parts import AGENTS, PARTS, Timed, check


@dataclass
class Number:
    value: int


class Square(RoutedAgent):
    def __init__(self):
        super().__init__("squares a number")

    @message_handler
    async def square(self, message: Number, ctx: MessageContext) -> Number:
        return Number(message.value * message.value)


async def main():
    runtime = SingleThreadedAgentRuntime()
    await Square.register(runtime, "square", Square)
    runtime.start()
    with Timed():
        asks = (runtime.send_message(Number(n), AgentId("square", str(n % AGENTS))) for n in range(PARTS))
        check(sum(answer.value for answer in await asyncio.gather(*asks)))
    await runtime.stop()


asyncio.run(main())
