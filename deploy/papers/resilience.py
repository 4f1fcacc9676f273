"""Tables of docs/resilience.md, from the policy itself."""

import re
from dataclasses import fields
from pathlib import Path

from deploy.papers.markdown import table
from fleet.policy import timing
from fleet.policy.minimal import Deed, may
from fleet.policy.modes import TRANSITIONS, Mode
from fleet.policy.recovery import ORDER, share
from fleet.policy.timing import TIMING

_COMMENT = re.compile(r"((?:^    #: .*\n)+)?^    (\w+): (?:float|int) = ", re.M)


def intervals() -> str:
    """Every interval with its reason."""
    reasons = _reasons()
    rows = [
        (f"`{f.name}`", f"{getattr(TIMING, f.name):g}", reasons[f.name]) for f in fields(TIMING)
    ]
    return table(("interval", "value", "why"), rows)


def modes() -> str:
    """What may follow what."""
    rows = [(f"**{mode}**", ", ".join(sorted(TRANSITIONS[mode]))) for mode in Mode]
    return table(("mode", "may become"), rows)


def deeds() -> str:
    """What the control plane may do when it hears nobody, and a site that is alone."""
    rows = [(deed.value, _word(deed, Mode.MINIMAL), _word(deed, Mode.ISLAND)) for deed in Deed]
    return table(("deed", "the control plane hears nobody", "a LAN hears nobody"), rows)


def stages() -> str:
    """The way back."""
    rows = [(f"**{stage}**", f"{share(stage) * 100:.0f} %") for stage in ORDER]
    return table(("stage", "ordinary work"), rows)


def _word(deed: Deed, mode: Mode) -> str:
    decision = may(deed, mode)
    return "yes" if decision.allowed else f"no: {decision.reason}"


def _reasons() -> dict[str, str]:
    text = Path(timing.__file__).read_text(encoding="utf-8")
    found: dict[str, str] = {}
    last = ""
    for comment, name in _COMMENT.findall(text):
        last = " ".join(comment.replace("#:", "").split()) or last
        found[name] = last
    return found
