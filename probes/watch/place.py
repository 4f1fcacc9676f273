"""A watch made from a box's settings."""

from collections.abc import Callable

from fleet.policy.errors import ConfigurationError
from fleet.policy.timing import TIMING, Timing
from probes.watch.watcher import OwnState, Place, Watcher
from tasks.box import Box
from tasks.journal.database import set_meta
from tasks.settings import Address, FleetSettings
from tasks.signing import load_private_key

#: The home of the control plane, whose key signs the rows of its site.
CONTROL_HOME = "control"
#: A watch's numbers go on where an earlier one of the same box can not have come.
ROWS_A_START = 1 << 32


def control_site(settings: FleetSettings) -> str:
    """The site of the control plane: the one that is no home under its own name."""
    found = [site for site in settings.sites if site not in settings.homes]
    if len(found) != 1:
        raise ConfigurationError(
            "the table [homes] must name the home 'control' and every site but the control "
            f"plane's; it names {', '.join(sorted(settings.homes)) or 'none'}"
        )
    return found[0]


def place_of(settings: FleetSettings) -> Place:
    """Where this box's watch stands and whom it sends to."""
    control = control_site(settings)
    keys = {
        site: settings.homes[CONTROL_HOME if site == control else site].public_key
        for site in settings.sites
    }
    return Place(
        site=settings.site,
        sites=settings.sites,
        control=control,
        address=_host_port(settings.agent_address),
        peers={site: _host_port(address) for site, address in settings.peers.items()},
        keys=keys,
    )


def open_watch(
    settings: FleetSettings, box: Box, own: Callable[[], OwnState], timing: Timing = TIMING
) -> Watcher:
    """The watch of this box; raises ConfigurationError without a key to sign with."""
    if settings.signing is None:
        raise ConfigurationError(
            "a watch signs its rows: add a table [signing] with "
            "private_key_file = '/etc/turtle/home.key' to turtle.toml"
        )
    key = load_private_key(settings.signing.private_key_file)
    return Watcher(place_of(settings), key, own, _first_seq(box), timing)


def _first_seq(box: Box) -> int:
    starts = int(box.database.meta("watch_starts", "0")) + 1
    with box.database.write() as connection:
        set_meta(connection, "watch_starts", str(starts))
    return starts * ROWS_A_START


def _host_port(address: Address) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)
