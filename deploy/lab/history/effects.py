"""Rules about tasks: lost, twice, order of tokens. Each reads the lines once."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator

from deploy.lab.history.records import Accepted, Effect, History
from deploy.lab.history.violations import Rule, Violation
from fleet.policy.effects import TAKES_EFFECT_ONCE, EffectClass


def lost(history: History) -> Iterator[Violation]:
    """Accepted, and without an effect anywhere.

    Not class D: its promise is "at most once", and after a lost worker a person decides.
    """
    done = {line.key for line in history.effects if line.event == "effect"}
    started = {line.key for line in history.effects}
    for one in history.accepted:
        if one.effect in TAKES_EFFECT_ONCE and one.key not in done:
            how = "started, without effect" if one.key in started else "never started"
            yield Violation(Rule.LOST, one.key, f"run {one.id} by {one.by}: {how}")


def effect_twice(history: History) -> Iterator[Violation]:
    """More effects than the class allows.

    Every class: one for each attempt and box. B: one for each key and sink. D: one at all.
    C may take effect again with a newer token, which `token_order` checks; A may overwrite.
    """
    seen: dict[Hashable, Effect] = {}
    for line in history.effects:
        if line.event != "effect":
            continue
        first = seen.setdefault(_effect_identity(line), line)
        if first is not line:
            yield Violation(Rule.EFFECT_TWICE, line.key, _pair(first, line))


def _effect_identity(line: Effect) -> Hashable:
    if line.effect is EffectClass.D:
        return ("D", line.key)
    if line.effect is EffectClass.B:
        return ("B", line.key, line.place)
    return (line.effect, line.key, line.run_id, line.token, line.place)


def started_twice(history: History) -> Iterator[Violation]:
    """Class D, at whichever boxes and with whichever tokens."""
    seen: dict[str, Effect] = {}
    for line in history.effects:
        if line.event == "start" and line.effect is EffectClass.D:
            first = seen.setdefault(line.key, line)
            if first is not line:
                yield Violation(Rule.STARTED_TWICE, line.key, _pair(first, line))


def token_order(history: History) -> Iterator[Violation]:
    """Starts of a run on one box, and effects of class C on one sink, carry rising tokens."""
    newest: dict[Hashable, Effect] = {}
    for line in history.effects:
        fenced = line.effect is EffectClass.C and line.event == "effect"
        if line.event != "start" and not fenced:
            continue
        what = line.key if fenced else line.run_id
        before = newest.get((line.event, what, line.place))
        if line.token < 1 or (before is not None and line.token <= before.token):
            yield Violation(Rule.TOKEN_ORDER, line.key, _pair(before, line))
        else:
            newest[line.event, what, line.place] = line


def accepted_twice(history: History) -> Iterator[Violation]:
    """One key, two runs; or one run, two keys."""
    by_key: dict[str, Accepted] = {}
    by_id: dict[str, Accepted] = {}
    for one in history.accepted:
        first = by_key.setdefault(one.key, one)
        if first.id != one.id:
            yield Violation(Rule.ACCEPTED_TWICE, one.key, f"as run {first.id} and as run {one.id}")
        other = by_id.setdefault(one.id, one)
        if other.key != one.key:
            yield Violation(Rule.ACCEPTED_TWICE, one.key, f"run {one.id} is also {other.key}")


def unknown_run(history: History) -> Iterator[Violation]:
    """A key that is known runs under an id that no producer was given."""
    ids: dict[str, set[str]] = defaultdict(set)
    for one in history.accepted:
        ids[one.key].add(one.id)
    told: set[tuple[str, str]] = set()
    for line in history.effects:
        known = ids.get(line.key)
        if known and line.run_id not in known and (line.key, line.run_id) not in told:
            told.add((line.key, line.run_id))
            accepted_as = ", ".join(sorted(known))
            yield Violation(Rule.UNKNOWN_RUN, line.key, f"{told_of(line)}; it is {accepted_as}")


def told_of(line: Effect) -> str:
    """One line of a witness in a few words."""
    return (
        f"{line.event} at {line.box}@{line.site} at {line.monotonic_s:.3f} s, "
        f"run {line.run_id} token {line.token}"
    )


def _pair(first: Effect | None, second: Effect) -> str:
    return "; then ".join(told_of(line) for line in _present(first, second))


def _present(*lines: Effect | None) -> Iterable[Effect]:
    return (line for line in lines if line is not None)
