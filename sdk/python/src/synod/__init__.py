"""Agents in Python for Synod.

An agent is a coroutine function with `@agent`; `run` connects it to a daemon.
`synod.frame` encodes and decodes the frames of docs/PROTOCOL.md, `synod.payload`, `synod.shared` and `synod.votes` are what they hold.
"""

from .agent import Agent, Ballot, Reply, Said, agent
from .client import Client, run, serve
from .context import Context, TaskContext
from .errors import (
    Code,
    Dismissed,
    Fenced,
    NoAnswer,
    ProtocolError,
    Refused,
    SynodError,
    TaskFailed,
    TaskRejected,
)
from .extension import Performative
from .payload import Card, Completed, Task
from .shared import Event
from .votes import Call, Close, Evidence

__all__ = [
    "Agent",
    "Ballot",
    "Call",
    "Card",
    "Client",
    "Close",
    "Code",
    "Completed",
    "Context",
    "Dismissed",
    "Event",
    "Evidence",
    "Fenced",
    "NoAnswer",
    "Performative",
    "ProtocolError",
    "Refused",
    "Reply",
    "Said",
    "SynodError",
    "Task",
    "TaskContext",
    "TaskFailed",
    "TaskRejected",
    "agent",
    "run",
    "serve",
]
