"""How the programs of this example talk: a question and an answer, each a line of JSON, over a socket in the state folder."""

import json
import os
import socket

LINE_BYTES_MAX = 4 * 1024 * 1024
SECONDS_MAX = 30


class Unanswered(Exception):
    """Nobody answered, or the answer was an error; says what to do."""


def address(state, name):
    """Where a socket of a state folder is. A socket's path has 107 bytes at most, so long ones are reached by the folder's number."""
    path = os.path.join(state, name)
    if len(os.fsencode(path)) < 100:
        return path
    folder = os.open(state, os.O_DIRECTORY | os.O_PATH | os.O_CLOEXEC)
    return f"/proc/self/fd/{folder}/{name}"


def ask(state, name, question, seconds=SECONDS_MAX):
    """Asks whoever listens at a socket of the state folder, and gives the answer."""
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(seconds)
            client.connect(address(state, name))
            client.sendall(json.dumps(question).encode() + b"\n")
            with client.makefile("rb") as lines:
                line = lines.readline(LINE_BYTES_MAX)
        answer = json.loads(line)
    except (OSError, ValueError) as why:
        raise Unanswered(f"{os.path.join(state, name)} does not answer ({why}); {hint(state)}") from why
    if "error" in answer:
        raise Unanswered(answer["error"])
    return answer["answer"]


def hint(state):
    return f"start the host: python3 {os.path.join(os.path.dirname(__file__), 'host.py')} {state}"
