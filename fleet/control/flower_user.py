"""How the control plane's proxy tells Flower who is logged in: one header, percent-encoded."""

from collections.abc import Mapping
from urllib.parse import quote, unquote

HEADER = "X-Turtle-User"


def header_of(user: str) -> dict[str, str]:
    """The header for a call that `user` makes."""
    return {HEADER: quote(user)}


def caller_of(headers: Mapping[str, str]) -> str:
    """The caller's name for the ledger: "flower: <user>", or "flower" where none is named.

    Whoever knows Flower's password can write the header, so it is a note and no proof.
    """
    user = unquote(headers.get(HEADER, ""))
    return f"flower: {user}" if user else "flower"
