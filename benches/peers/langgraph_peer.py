"""LangGraph: a graph that sends every part to one of eight nodes, one of three stages, and one of five voters."""
import asyncio
import operator
from typing import Annotated, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, Send

from workloads import (
    AGENTS, DOCUMENT, DOCUMENTS, LEADERS, MISSIONS, PARTS, ROUNDS, STAGES, TICKED, WEIGHTS, WORKERS,
    Timed, check, check_counts, check_documents, check_missions, check_rounds, chosen, decide, in_flight, tasks,
)

NODES = [f"agent{place}" for place in range(AGENTS)]


class State(TypedDict):
    squares: Annotated[list, operator.add]
    total: int


async def square(state):
    return {"squares": [state["number"] * state["number"]]}


async def reduce(state):
    return {"total": sum(state["squares"])}


def split(state):
    return [Send(NODES[number % AGENTS], {"number": number}) for number in range(PARTS)]


async def parts():
    graph = StateGraph(State)
    graph.add_node("reduce", reduce)
    for node in NODES:
        graph.add_node(node, square)
        graph.add_edge(node, "reduce")
    graph.add_conditional_edges(START, split, NODES)
    graph.add_edge("reduce", END)
    graph = graph.compile()
    with Timed(PARTS):
        check((await graph.ainvoke({"squares": []}))["total"])



class Passage(TypedDict):
    document: str


async def hand_on(state):
    return {"document": state["document"]}


async def documents():
    graph = StateGraph(Passage)
    names = [START, *(f"stage{place}" for place in range(STAGES)), END]
    for name in names[1:-1]:
        graph.add_node(name, hand_on)
    for edge in zip(names, names[1:]):
        graph.add_edge(*edge)
    graph = graph.compile()

    async def one(_):
        return (await graph.ainvoke({"document": DOCUMENT}))["document"]

    with Timed(DOCUMENTS):
        check_documents(await in_flight(DOCUMENTS, one))


class Ballots(TypedDict):
    votes: Annotated[list, operator.add]
    decided: bool


def voter(weight):
    async def vote(state):
        return {"votes": [(True, weight)]}

    return vote


async def tally(state):
    return {"decided": decide(state["votes"])}


async def rounds():
    graph = StateGraph(Ballots)
    graph.add_node("tally", tally)
    names = [f"voter{place}" for place in range(len(WEIGHTS))]
    for name, weight in zip(names, WEIGHTS):
        graph.add_node(name, voter(weight))
        graph.add_edge(START, name)
    graph.add_edge(names, "tally")
    graph.add_edge("tally", END)
    graph = graph.compile()

    async def one(_):
        return (await graph.ainvoke({"votes": []}))["decided"]

    with Timed(ROUNDS):
        check_rounds(await in_flight(ROUNDS, one))


class Mission(TypedDict):
    number: int
    outputs: Annotated[list, operator.add]
    total: int


async def work(state):
    return {"outputs": [state["task"] + 1]}


async def missions():
    """A supervisor sends each leader its part, each leader its workers their tasks; the supervisor adds up."""
    graph = StateGraph(Mission)

    async def supervise(state):
        return {}

    async def integrate(state):
        return {"total": sum(state["outputs"])}

    def leader(workers):
        async def lead(state):
            return Command(goto=[Send(worker, {"task": task}) for worker, task in zip(workers, state["team"])])

        return lead

    graph.add_node("supervisor", supervise)
    graph.add_node("integrate", integrate)
    leaders = [f"leader{place}" for place in range(LEADERS)]
    for name in leaders:
        workers = [f"{name}-worker{place}" for place in range(WORKERS)]
        graph.add_node(name, leader(workers), destinations=tuple(workers))
        for worker in workers:
            graph.add_node(worker, work)
            graph.add_edge(worker, "integrate")
    graph.add_edge(START, "supervisor")

    def delegate(state):
        return [Send(name, {"team": team}) for name, team in zip(leaders, tasks(state["number"]))]

    graph.add_conditional_edges("supervisor", delegate, leaders)
    graph.add_edge("integrate", END)
    graph = graph.compile()

    async def one(number):
        return (await graph.ainvoke({"number": number, "outputs": []}))["total"]

    with Timed(MISSIONS):
        check_missions(await in_flight(MISSIONS, one))


class Counts(TypedDict):
    counts: list
    said: Annotated[list, operator.add]


async def agent_ticks():
    """A tick is one run of a graph that sends every agent its number to a node, and gathers the answers."""
    agents, ticks = TICKED["langgraph"]
    graph = StateGraph(Counts)

    async def count(state):
        return {"said": [(state["agent"], state["count"] + 1)]}

    async def gather(state):
        return {"counts": [count for _, count in sorted(state["said"])]}

    def tick(state):
        return [Send("agent", {"agent": agent, "count": count}) for agent, count in enumerate(state["counts"])]

    graph.add_node("agent", count)
    graph.add_node("gather", gather)
    graph.add_conditional_edges(START, tick, ["agent"])
    graph.add_edge("agent", "gather")
    graph.add_edge("gather", END)
    graph, counts = graph.compile(), [0] * agents
    with Timed(agents * ticks):
        for _ in range(ticks):
            counts = (await graph.ainvoke({"counts": counts, "said": []}))["counts"]
        check_counts(counts, agents, ticks)


asyncio.run(chosen(parts, documents, rounds, missions, agent_ticks)())
