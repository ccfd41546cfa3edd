"""The workloads of the figures that frameworks of Python take part in; a script of each is called with the figure's name.

map_reduce.parts: 10,000 squares over 8 agents, gathered, summed and checked.
pipeline.documents: 2,000 documents of 1 KiB through three stages that do nothing, 64 in flight.
consensus.rounds: 1,000 rounds of five weighted voters, a quorum of 2/3, 64 in flight.
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


async def in_flight(count, one):
    """What `one` comes to for each number, with so many at a time."""
    places = asyncio.Semaphore(IN_FLIGHT)

    async def placed(number):
        async with places:
            return await one(number)

    return list(await asyncio.gather(*(placed(number) for number in range(count))))


def chosen(parts, documents, rounds):
    """The workload that the script was called for."""
    return {"map_reduce.parts": parts, "pipeline.documents": documents, "consensus.rounds": rounds}[sys.argv[1]]
