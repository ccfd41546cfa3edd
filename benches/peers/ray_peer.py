"""Ray: a process for each actor: eight that square, a stage each, a voter each, a worker or leader each."""
import asyncio
import os
import tempfile

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"

import ray

from workloads import (
    AGENTS, DOCUMENT, DOCUMENTS, IN_FLIGHT, LEADERS, MISSIONS, PARTS, ROUNDS, STAGES, TICKED, WEIGHTS, WORKERS,
    Timed, check, check_counts, check_documents, check_missions, check_rounds, chosen, decide, tasks,
)


@ray.remote(num_cpus=0)
class Square:
    def square(self, number):
        return number * number


@ray.remote(num_cpus=0)
class Stage:
    def hand_on(self, document):
        return document


@ray.remote(num_cpus=0)
class Voter:
    def __init__(self, weight):
        self.weight = weight

    def vote(self, number):
        return True, self.weight


def parts():
    actors = [Square.remote() for _ in range(AGENTS)]
    ray.get([actor.square.remote(0) for actor in actors])
    with Timed(PARTS):
        check(sum(ray.get([actors[number % AGENTS].square.remote(number) for number in range(PARTS)])))


def in_flight(count, begin, end):
    """What `end` makes of each that was begun, with so many at a time."""
    begun, ended = [], []
    for number in range(count):
        begun.append(begin(number))
        if len(begun) == IN_FLIGHT:
            ended.append(end(begun.pop(0)))
    return ended + [end(one) for one in begun]


def documents():
    stages = [Stage.remote() for _ in range(STAGES)]
    ray.get([stage.hand_on.remote("") for stage in stages])

    def begin(_):
        document = DOCUMENT
        for stage in stages:
            document = stage.hand_on.remote(document)
        return document

    with Timed(DOCUMENTS):
        check_documents(in_flight(DOCUMENTS, begin, ray.get))


def rounds():
    voters = [Voter.remote(weight) for weight in WEIGHTS]
    ray.get([voter.vote.remote(0) for voter in voters])

    def begin(number):
        return [voter.vote.remote(number) for voter in voters]

    with Timed(ROUNDS):
        check_rounds(in_flight(ROUNDS, begin, lambda votes: decide(ray.get(votes))))


@ray.remote(num_cpus=0)
class Worker:
    def work(self, number):
        return number + 1


@ray.remote(num_cpus=0)
class Leader:
    """Has the tasks of several missions done at a time, as an actor with asynchronous methods."""

    def __init__(self):
        self.workers = [Worker.remote() for _ in range(WORKERS)]

    async def lead(self, team):
        return sum(await asyncio.gather(*(worker.work.remote(number) for worker, number in zip(self.workers, team))))


def missions():
    leaders = [Leader.remote() for _ in range(LEADERS)]
    ray.get([leader.lead.remote([0] * WORKERS) for leader in leaders])

    def begin(mission):
        return [leader.lead.remote(team) for leader, team in zip(leaders, tasks(mission))]

    with Timed(MISSIONS):
        check_missions(in_flight(MISSIONS, begin, lambda sums: sum(ray.get(sums))))


def agent_ticks():
    agents, ticks = TICKED["ray"]
    actors, counts = [Worker.remote() for _ in range(agents)], [0] * agents
    ray.get([actor.work.remote(0) for actor in actors])
    with Timed(agents * ticks):
        for _ in range(ticks):
            counts = ray.get([actor.work.remote(count) for actor, count in zip(actors, counts)])
        check_counts(counts, agents, ticks)


with tempfile.TemporaryDirectory(prefix="ray") as folder:
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        logging_level="ERROR",
        log_to_driver=False,
        _node_ip_address="127.0.0.1",
        object_store_memory=200_000_000,
        _temp_dir=folder,
    )
    chosen(parts, documents, rounds, missions, agent_ticks)()
    ray.shutdown()
