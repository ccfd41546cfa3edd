"""The workloads of the figures that frameworks of Python take part in; a script of each is called with the figure's name.

map_reduce.parts: 10,000 squares over 8 agents, gathered, summed and checked.
pipeline.documents: 2,000 documents of 1 KiB through three stages that do nothing, 64 in flight.
consensus.rounds: 1,000 rounds of five weighted voters, a quorum of 2/3, 64 in flight.
hierarchy.missions: 1,000 missions, each by a supervisor of three leaders of four workers who add one, 64 in flight.
swarm.agent_ticks: agents that add one to a number of theirs in each tick, which ends when all have answered; as many agents and
ticks as `TICKED` says: fewer where a framework is slow, or has a process for each agent.
"""
import asyncio
import json
import sys
import time
from fractions import Fraction

PARTS = 10_000
AGENTS = 8
DOCUMENTS = 2_000
DOCUMENT = "x" * 1_024
STAGES = 3
ROUNDS = 1_000
WEIGHTS = [1, 2, 3, 4, 5]
QUORUM = Fraction(2, 3)
MISSIONS = 1_000
LEADERS = 3
WORKERS = 4
TICKED = {
    "asyncio": (1_000, 100),
    "autogen": (1_000, 20),
    "agent_framework": (100, 100),
    "langgraph": (1_000, 10),
    "ray": (40, 100),
}
IN_FLIGHT = 64


class Timed:
    """Measures the run inside of a `with` block and prints its rate."""

    def __init__(self, count):
        self.count = count

    def __enter__(self):
        self.started = time.perf_counter()
        return self

    def __exit__(self, kind, error, trace):
        seconds = time.perf_counter() - self.started
        if error is None:
            print(json.dumps({"per_second": self.count / seconds}), flush=True)


def check(total):
    """Every part was done once."""
    expected = sum(number * number for number in range(PARTS))
    if total != expected:
        raise SystemExit(f"the parts sum up to {total}, not {expected}")


def check_documents(documents):
    """Every document has come out as it went in."""
    if documents != [DOCUMENT] * DOCUMENTS:
        raise SystemExit(f"of {DOCUMENTS} documents not all came out as they went in")


def decide(votes):
    """Whether the voters that say yes, each as (yes, weight), have the quorum."""
    return Fraction(sum(weight for yes, weight in votes if yes), sum(weight for _, weight in votes)) >= QUORUM


def check_rounds(decisions):
    """Every round has come to a consensus."""
    if decisions != [True] * ROUNDS:
        raise SystemExit(f"of {ROUNDS} rounds not all came to a consensus")


def tasks(mission):
    """What the workers of a mission are given, a list for each leader."""
    first = mission * LEADERS * WORKERS
    return [list(range(first + leader * WORKERS, first + (leader + 1) * WORKERS)) for leader in range(LEADERS)]


def check_missions(sums):
    """Every mission has come to what its workers' outputs add up to."""
    expected = [sum(number + 1 for team in tasks(mission) for number in team) for mission in range(MISSIONS)]
    if sums != expected:
        raise SystemExit(f"of {MISSIONS} missions not all came to what they should")


def check_counts(counts, agents, ticks):
    """Every agent has counted every tick."""
    if list(counts) != [ticks] * agents:
        raise SystemExit(f"of {agents} agents not all have counted {ticks} ticks")


async def in_flight(count, one):
    """What `one` comes to for each number, with so many at a time."""
    places = asyncio.Semaphore(IN_FLIGHT)

    async def placed(number):
        async with places:
            return await one(number)

    return list(await asyncio.gather(*(placed(number) for number in range(count))))


def chosen(parts, documents, rounds, missions, agent_ticks):
    """The workload that the script was called for."""
    return {
        "map_reduce.parts": parts,
        "pipeline.documents": documents,
        "consensus.rounds": rounds,
        "hierarchy.missions": missions,
        "swarm.agent_ticks": agent_ticks,
    }[sys.argv[1]]
