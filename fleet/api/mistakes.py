"""Where in a request a mistake is, in the words of RFC 9457."""

from collections.abc import Mapping
from typing import Any

#: Names of the two shapes of a body; they are ours, so they stay out of error pointers.
BODY_SHAPES = ("one", "many")


def mistake(item: Mapping[str, Any]) -> dict[str, Any]:
    """`errors` of RFC 9457: a JSON pointer into the body, or the name of a parameter."""
    source, *rest = item.get("loc", ("body",))
    message = {"detail": str(item.get("msg", "not valid"))}
    if source != "body":
        names = [step for step in rest if isinstance(step, str)]
        return {**message, "parameter": names[-1] if names else str(source)}
    many = "many" in rest[1:2]
    steps = [step for step in rest[1:] if step not in BODY_SHAPES]
    found: dict[str, Any] = {**message, "pointer": "#/" + "/".join(map(str, steps))}
    return {**found, "index": steps[0]} if many and steps else found
