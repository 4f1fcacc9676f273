"""Numbers as people read them: durations, percentages, temperatures, names of sites."""

from datetime import datetime, timedelta

from fleet.policy.effects import EffectClass

#: Seconds of each unit, from the largest.
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
#: From here on two units are shown without fractions.
_WHOLE_FROM_S = 60


def duration(seconds: float | timedelta) -> str:
    """A duration with its one or two largest units; `seconds` below 0 counts as 0.

    84 ms, 3.2 s, 41 s, 6 min 40 s, 3 h 12 min, 2 d 4 h.
    """
    length_s = seconds.total_seconds() if isinstance(seconds, timedelta) else float(seconds)
    length_s = max(0.0, length_s)
    if length_s < 0.9995:
        return f"{length_s * 1000:.0f} ms"
    if length_s < 9.95:
        return f"{length_s:.1f} s"
    if length_s < _WHOLE_FROM_S - 0.5:
        return f"{length_s:.0f} s"
    return _two_units(round(length_s))


def age(seconds: float) -> str:
    """How old something is, in whole seconds: the page counts it up once a second."""
    whole_s = max(0, int(seconds))
    return f"{whole_s} s" if whole_s < _WHOLE_FROM_S else _two_units(whole_s)


def between(start: datetime | None, end: datetime | None) -> float | None:
    """Seconds from `start` to `end`, not below 0; None where one of them is not known."""
    if start is None or end is None:
        return None
    return max(0.0, (end - start).total_seconds())


def percent(value: float) -> str:
    """A percentage without a fraction, except below 10."""
    return f"{value:.0f} %" if value >= 9.95 or value == 0 else f"{value:.1f} %"


def plural(count: int, one: str, many: str | None = None) -> str:
    """`1 worker`, `2 workers`."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def attempts_allowed(effect: str, count: int) -> str:
    """How often the machine starts a task of an effect class: `at most 3 attempts`."""
    if effect == EffectClass.D:
        return "one attempt, then a person decides"
    return f"at most {plural(count, 'attempt')}"


def attempts_made(effect: str, made: int, count: int) -> str:
    """How many attempts a run has had, and how many it may have."""
    if effect == EffectClass.D:
        return f"{made} made; {attempts_allowed(effect, count)}"
    return f"{made} of at most {count}"


def listed(parts: list[str]) -> str:
    """`A`, `A and B`, `A, B and C`."""
    return " and ".join(filter(None, (", ".join(parts[:-1]), *parts[-1:])))


def short_id(run_id: object) -> str:
    """The ends of a run's id, which tell runs of one minute apart."""
    text = str(run_id)
    return f"{text[:4]}…{text[-4:]}"


def site_label(name: str) -> str:
    """A site's name as it is shown: DC1."""
    return name.upper()


def _two_units(whole_s: int) -> str:
    for position, (size_s, unit) in enumerate(_UNITS[:-1]):
        if whole_s >= size_s:
            rest_s, small = _UNITS[position + 1]
            rest = whole_s % size_s // rest_s
            return f"{whole_s // size_s} {unit}" + (f" {rest} {small}" if rest else "")
    return f"{whole_s} s"
