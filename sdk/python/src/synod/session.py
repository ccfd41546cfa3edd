"""The state of one session, without any I/O: credit both ways, ids that were seen, responses without an `ack`.

`connection` calls it. A resumed session keeps all of it, a new one begins with nothing.
"""

from uuid import UUID

from . import limits
from .frame import Frame
from .payload import Ack, Credit, Error, Kind, Welcome

Reply = Ack | Error | None


class Session:
    """What both sides count and remember from the session's first welcome on."""

    def __init__(self) -> None:
        self.id: UUID | None = None
        self.unacked: dict[UUID, Frame] = {}
        self._begin()

    def _begin(self) -> None:
        self.unacked.clear()
        self._sent, self._allowed = 0, 0
        self._received, self._granted = 0, limits.CREDIT
        self._seen: dict[UUID, Reply] = {}

    def welcomed(self, welcome: Welcome) -> bool:
        """Takes a welcome; tells whether the session goes on."""
        goes_on = welcome.resumed and self.id is not None
        if goes_on:
            # what the other side sent into the cut counts with it, but never came: it gets as much anew
            self._granted += limits.CREDIT
        else:
            self._begin()
        self.id = welcome.session
        self.allow(welcome.credit)
        return goes_on

    # --- what we send

    def may_send(self) -> bool:
        """Whether the other side has granted one more message."""
        return self._sent < self._allowed

    def sends(self) -> None:
        """Counts a message that takes credit; one that is sent again is not counted again."""
        self._sent += 1

    def allow(self, total: int) -> None:
        """Takes a grant: a total that never falls."""
        self._allowed = max(self._allowed, total)

    def acked(self, messages: list[UUID]) -> None:
        """Forgets responses that the other side has."""
        for message in messages:
            self.unacked.pop(message, None)

    # --- what we receive

    def receives(self, frame: Frame) -> bool:
        """Counts a message; tells whether it comes for the first time."""
        self.counts(frame.kind)
        message = frame.extension.message_id
        if message is None:
            return True
        if message in self._seen:
            return False
        self._seen[message] = None
        if len(self._seen) > limits.SEEN_MESSAGES:
            del self._seen[next(iter(self._seen))]
        return True

    def counts(self, kind: Kind) -> None:
        """Counts a message that came, against what was granted."""
        self._received += kind.takes_credit

    def replied(self, message: UUID, reply: Reply) -> None:
        """Remembers what a message was answered with, for when it comes again."""
        if message in self._seen:
            self._seen[message] = reply

    def reply_to(self, message: UUID | None) -> Reply:
        """What a message was answered with."""
        return None if message is None else self._seen.get(message)

    def grant(self) -> Credit:
        """The grant as it stands."""
        return Credit(messages_total=self._granted)

    def grant_due(self) -> Credit | None:
        """A new grant once half of the last one is used up."""
        if self._granted - self._received > limits.CREDIT // 2:
            return None
        self._granted = self._received + limits.CREDIT
        return self.grant()
