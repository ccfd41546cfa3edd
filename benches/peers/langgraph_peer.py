"""LangGraph: a graph that sends every part to one of eight nodes."""
import asyncio
import operator
from typing import Annotated, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.types import Send

from parts import AGENTS, PARTS, Timed, check

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


async def main():
    graph = StateGraph(State)
    graph.add_node("reduce", reduce)
    for node in NODES:
        graph.add_node(node, square)
        graph.add_edge(node, "reduce")
    graph.add_conditional_edges(START, split, NODES)
    graph.add_edge("reduce", END)
    graph = graph.compile()
    with Timed():
        check((await graph.ainvoke({"squares": []}))["total"])


asyncio.run(main())
