"""`turtle fleet|maint|override`: how the fleet is, and what an operator does on purpose."""

import re
from typing import Annotated, Any

import typer

from deploy.cli.api_common import age, calling, note, usage_error, words
from deploy.cli.api_options import TokenFile, Url
from deploy.cli.api_tables import show
from deploy.cli.output import AsJson, console, print_json

_SPAN = re.compile(r"^(\d+(?:\.\d+)?)([smhd]?)$")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}

Reason = Annotated[str, typer.Option("--reason", help="Why; everybody will see it.")]


def fleet(url: Url = None, token_file: TokenFile = None, as_json: AsJson = False) -> None:
    """Show the fleet's mode, who is down and who says so, the standby, and what changed."""
    with calling(url, token_file, as_json) as client:
        found = client.get("fleet")
    if as_json:
        print_json(found)
    else:
        _print_fleet(found)


def maint(
    site: Annotated[str, typer.Argument(metavar="SITE", help="The site that will be away.")],
    for_: Annotated[str, typer.Option("--for", help="How long, as 90s, 15m, 2h.")] = "",
    reason: Reason = "",
    end: Annotated[bool, typer.Option("--end", help="End it before its time.")] = False,
    url: Url = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """Announce a planned stop: the site drains, the broker moves, nobody is alarmed."""
    if not end and not for_:
        raise usage_error("say how long, for example --for 2h", "--for")
    with calling(url, token_file, as_json) as client:
        if end:
            found = client.delete(f"maintenance/{site}")
        else:
            body = {"site": site, "for_s": seconds(for_, "--for"), "reason": reason}
            found = client.post("maintenance", body)
    _say(found, as_json, found.get("done") or f"{site} is away as planned until {found['until']}")


def override(
    assert_down: Annotated[
        str, typer.Option("--assert-down", help="The sites, as dc1,dc2.", metavar="SITES")
    ] = "",
    epoch: Annotated[int, typer.Option("--epoch", help="The fleet's epoch: turtle fleet.")] = 0,
    ttl: Annotated[str, typer.Option("--ttl", help="How long it holds, as 60m.")] = "60m",
    reason: Reason = "",
    typed: Annotated[
        str, typer.Option("--confirm", help="The same sites again, instead of being asked.")
    ] = "",
    end: Annotated[bool, typer.Option("--end", help="Take it back.")] = False,
    url: Url = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """Assert that sites are down, when the control plane hears nobody and you know more.

    What these sites had in hand is void from then on and may be done again elsewhere.
    """
    with calling(url, token_file, as_json) as client:
        if end:
            found = client.delete("override")
            _say(found, as_json, found["done"])
            return
        again = typed or typer.prompt("Type the names of the sites again", err=True)
        body = {
            "epoch": epoch,
            "assert_down": _names(assert_down),
            "typed": _names(again),
            "reason": reason,
            "ttl_s": seconds(ttl, "--ttl"),
        }
        found = client.post("override", body)
    _say(found, as_json, f"epoch {found['epoch']}: {assert_down} down until {found['expires_at']}")


def confirm(url: Url = None, token_file: TokenFile = None, as_json: AsJson = False) -> None:
    """Let the standby go on beyond its monthly or continuous hours, until its lease ends."""
    with calling(url, token_file, as_json) as client:
        found = client.post("standby/confirm", {})
    _say(found, as_json, found["done"])


def seconds(text: str, option: str) -> float:
    """A span such as 90s, 15m, 2h or 1d in seconds; raises BadParameter."""
    found = _SPAN.match(text.strip())
    if found is None:
        raise usage_error(f"{text!r} is no span of time, such as 90s, 15m or 2h", option)
    return float(found[1]) * _SECONDS[found[2]]


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _say(found: Any, as_json: bool, sentence: str) -> None:
    if as_json:
        print_json(found)
    else:
        note(sentence, style="green")


def _print_fleet(found: dict[str, Any]) -> None:
    about = f" of {found['site']}" if found["site"] else ""
    console().print(
        f"{found['mode']}{about}, epoch {found['epoch']}, since {age(found['since'])}: "
        f"{found['reason'] or 'nothing has happened'}",
        markup=False,
        highlight=False,
    )
    rows = [
        (s["site"], s["verdict"], age(s["since"]), s["reason"], s["recovery"] or "-")
        for s in found["sites"]
    ]
    show(("site", "verdict", "for", "reason", "return"), rows, "No site is known.")
    standby = found["standby"]
    lease = (
        f"lease {standby['generation']} of {standby['activator']}" if standby["live"] else "none"
    )
    console().print(
        f"standby: {standby['machine']} ({standby['machine_reason'] or '-'}), lease: {lease}",
        markup=False,
        highlight=False,
    )
    for planned in found["maintenance"]:
        note(f"planned stop of {planned['site']} until {planned['until']}: {planned['reason']}")
    for asserted in found["override"]:
        names = words(asserted["asserted"])
        note(f"{names} asserted down until {asserted['expires_at']}: {asserted['reason']}", "red")
    events = [
        (age(e["at"]), e["kind"], e["subject"], f"{e['was'] or '-'} → {e['became']}", e["why"])
        for e in found["events"][:12]
    ]
    show(("ago", "what", "of", "change", "because"), events, "Nothing has changed yet.")
