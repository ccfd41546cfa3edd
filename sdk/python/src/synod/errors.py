"""The errors that this package raises, and the numbers by which the protocol refuses.

Each error says what is wrong, where, and what to do.
"""

from enum import IntEnum

from . import limits


class Code(IntEnum):
    """Why something is refused; the hundred says what to do (docs/PROTOCOL.md, Refusals)."""

    INVALID = 100
    TOO_LARGE = 101
    NOT_SUPPORTED = 102
    UNAUTHORISED = 103
    UNKNOWN_TARGET = 104
    DUPLICATE = 105
    DEADLINE_PASSED = 106
    CANCELLED = 107
    BUDGET = 108
    CONFLICT = 109
    STALE = 110
    DEADLOCK = 111
    FAILED = 112
    OVERLOADED = 200
    RATE_LIMITED = 201
    UNAVAILABLE = 300
    STOPPING = 301
    NODE_LOST = 302
    AGENT_LOST = 303

    @classmethod
    def known(cls, number: int) -> "Code":
        """The code of a number; an unknown one counts as the first of its hundred, or as 100 outside of all."""
        try:
            return cls(number)
        except ValueError:
            return {2: cls.OVERLOADED, 3: cls.UNAVAILABLE}.get(number // 100, cls.INVALID)


class SynodError(Exception):
    """What all errors of this package are."""


class ProtocolError(SynodError):
    """A frame or a payload breaks a rule of the protocol; it was neither sent nor acted upon."""

    def __init__(self, code: Code, where: str, what: str, advice: str) -> None:
        super().__init__(f"{where}: {what}; {advice}")
        self.code, self.where, self.what, self.advice = code, where, what, advice


class Refused(SynodError):
    """The other side refuses a message or the connection."""

    def __init__(self, code: int, text: str = "", retry_after_ms: int | None = None, about: str = "the connection") -> None:
        self.number, self.code, self.text = code, Code.known(code), text
        self.retry_after_ms = retry_after_ms
        super().__init__(f"{about} was refused: {text or self.code.name.lower()} (code {code}); {self.advice()}")

    @property
    def retry_s(self) -> float:
        """Seconds after which it may be tried again."""
        after = limits.RETRY_AFTER_MS if self.retry_after_ms is None else self.retry_after_ms
        return min(after, limits.RETRY_AFTER_MS_MAX) / 1000

    def advice(self) -> str:
        """What to do."""
        match self.code // 100:
            case 2:
                return f"try again after {self.retry_s:g} s"
            case 3:
                return "try another agent or node"
        match self.code:
            case Code.UNAUTHORISED:
                return "check the token and the agent's rights"
            case Code.NOT_SUPPORTED:
                return "update the side that does not support it"
        return "change it before trying again"


class Fenced(SynodError):
    """Another connection of the same identity has taken over, so this one must not go on."""


class Dismissed(SynodError):
    """The daemon has ended the connection for good, because it misbehaved."""


class NoAnswer(SynodError):
    """An ask has had no answer by its deadline; whether it was handled is unknown."""


class TaskFailed(SynodError):
    """Raised by a handler: the task has failed, for this reason.

    With code 112, the default, it is not tried again as it is; 2xx says later, 3xx elsewhere.
    """

    def __init__(self, text: str, code: int = Code.FAILED, retry_after_ms: int | None = None) -> None:
        super().__init__(text)
        self.text, self.code, self.retry_after_ms = text, code, retry_after_ms


class TaskRejected(TaskFailed):
    """Raised by a handler before it has done anything: the task never started, and may go elsewhere."""

    def __init__(self, text: str, code: int = Code.UNAVAILABLE, retry_after_ms: int | None = None) -> None:
        super().__init__(text, code, retry_after_ms)


def cut(text: str, most: int = limits.REFUSAL_TEXT_BYTES) -> str:
    """Shortens a text to so many bytes of UTF-8, at a boundary of characters."""
    return text.encode("utf-8", "replace")[:most].decode("utf-8", "ignore")
