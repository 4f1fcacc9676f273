"""Fencing tokens: strictly increasing per run, and telling which home issued them."""

#: Low bits of a token that hold its home's number (control plane 0, sites from 1).
HOME_BITS = 8


def make_token(counter: int, home_number: int) -> int:
    """The token for the `counter`-th attempt that a home has ever issued (counter >= 1)."""
    if counter < 1:
        raise ValueError(f"counter {counter} must be at least 1")
    if not 0 <= home_number < 1 << HOME_BITS:
        raise ValueError(f"home number {home_number} must be between 0 and 255")
    return counter << HOME_BITS | home_number


def home_of(token: int) -> int:
    """The number of the home that issued `token`."""
    return token & (1 << HOME_BITS) - 1


def counter_of(token: int) -> int:
    """How many attempts the token's home had issued with it; 0 for no token."""
    return token >> HOME_BITS
