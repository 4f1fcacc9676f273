"""Fencing tokens of the control plane: reserved in blocks, so that most attempts cost no query."""

from django.db.models import F

from fleet.models import TokenCounter
from fleet.policy.tokens import counter_of, make_token

CONTROL_NUMBER = 0
BLOCK = 256


class Tokens:
    """The numbers of one relay. What a block has left when its process ends is never used."""

    def __init__(self) -> None:
        self._next = 1
        self._end = 1

    def after(self, token: int) -> int:
        """A fresh token, newer than `token` (0 for a run without an attempt).

        Another relay may have reserved a later block in between; then this one takes a new
        block, too, so that a run's tokens increase whoever issues them.
        """
        if self._next >= self._end or self._next <= counter_of(token):
            self._reserve()
        fresh = make_token(self._next, CONTROL_NUMBER)
        self._next += 1
        return fresh

    def forget(self) -> None:
        """Do not use the rest of the block."""
        self._next = self._end = 1

    def _reserve(self) -> None:
        """Take the next block, in the caller's transaction."""
        TokenCounter.objects.get_or_create(pk=1)
        TokenCounter.objects.filter(pk=1).update(value=F("value") + BLOCK)
        self._end = TokenCounter.objects.get(pk=1).value + 1
        self._next = self._end - BLOCK
