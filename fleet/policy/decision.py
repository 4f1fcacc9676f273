"""Yes or no, and why: the answer of every check that a person or a program asks for."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Decision:
    """`reason` is one sentence to show to whoever asked, also when the answer is yes."""

    allowed: bool
    reason: str
