"""The floor of Python: tasks and queues, no framework."""
import asyncio

from workloads import (
    AGENTS, DOCUMENT, DOCUMENTS, LEADERS, MISSIONS, PARTS, ROUNDS, STAGES, TICKED, WEIGHTS, WORKERS,
    Timed, check, check_counts, check_documents, check_missions, check_rounds, chosen, decide, in_flight, tasks,
)


async def serve(queue, work):
    while True:
        given, answer = await queue.get()
        answer.set_result(work(given))


class Servers:
    """Tasks that answer what is put into their queues."""

    def __init__(self, works):
        self.queues = [asyncio.Queue() for _ in works]
        self.tasks = [asyncio.create_task(serve(*of)) for of in zip(self.queues, works)]

    def ask(self, server, given):
        answer = asyncio.get_running_loop().create_future()
        self.queues[server].put_nowait((given, answer))
        return answer

    def end(self):
        for task in self.tasks:
            task.cancel()


async def parts():
    servers = Servers([lambda number: number * number] * AGENTS)
    with Timed(PARTS):
        check(sum(await asyncio.gather(*(servers.ask(n % AGENTS, n) for n in range(PARTS)))))
    servers.end()


async def documents():
    servers = Servers([lambda document: document] * STAGES)

    async def one(_):
        document = DOCUMENT
        for stage in range(STAGES):
            document = await servers.ask(stage, document)
        return document

    with Timed(DOCUMENTS):
        check_documents(await in_flight(DOCUMENTS, one))
    servers.end()


async def rounds():
    servers = Servers([lambda _, weight=weight: (True, weight) for weight in WEIGHTS])

    async def one(number):
        return decide(await asyncio.gather(*(servers.ask(voter, number) for voter in range(len(WEIGHTS)))))

    with Timed(ROUNDS):
        check_rounds(await in_flight(ROUNDS, one))
    servers.end()


async def missions():
    """A leader is a task for each of its missions, its workers are standing tasks."""
    workers = Servers([lambda number: number + 1] * (LEADERS * WORKERS))

    async def lead(leader, team):
        return sum(await asyncio.gather(*(workers.ask(leader * WORKERS + at, n) for at, n in enumerate(team))))

    async def one(mission):
        return sum(await asyncio.gather(*(lead(leader, team) for leader, team in enumerate(tasks(mission)))))

    with Timed(MISSIONS):
        check_missions(await in_flight(MISSIONS, one))
    workers.end()


async def agent_ticks():
    agents, ticks = TICKED["asyncio"]
    servers, counts = Servers([lambda count: count + 1] * agents), [0] * agents
    with Timed(agents * ticks):
        for _ in range(ticks):
            counts = await asyncio.gather(*(servers.ask(agent, count) for agent, count in enumerate(counts)))
        check_counts(counts, agents, ticks)
    servers.end()


asyncio.run(chosen(parts, documents, rounds, missions, agent_ticks)())
