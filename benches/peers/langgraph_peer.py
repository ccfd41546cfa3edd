"""LangGraph: a graph that sends every part to one of eight nodes, one of three stages, and one of five voters."""
import asyncio
import operator
from typing import Annotated, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.types import Send

from workloads import (
    AGENTS, DOCUMENT, DOCUMENTS, PARTS, ROUNDS, STAGES, WEIGHTS,
    Timed, check, check_documents, check_rounds, chosen, decide, in_flight,
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


asyncio.run(chosen(parts, documents, rounds)())
