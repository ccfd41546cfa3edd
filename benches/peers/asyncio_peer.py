"""The floor of Python: tasks and queues, no framework."""
import asyncio

from parts import AGENTS, PARTS, Timed, check


async def serve(queue):
    while True:
        number, answer = await queue.get()
        answer.set_result(number * number)


async def main():
    queues = [asyncio.Queue() for _ in range(AGENTS)]
    servers = [asyncio.create_task(serve(queue)) for queue in queues]
    loop = asyncio.get_running_loop()
    with Timed():
        answers = []
        for number in range(PARTS):
            answer = loop.create_future()
            queues[number % AGENTS].put_nowait((number, answer))
            answers.append(answer)
        check(sum(await asyncio.gather(*answers)))
    for server in servers:
        server.cancel()


asyncio.run(main())
