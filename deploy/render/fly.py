"""`fly.toml` of the control plane's site: the control plane, Redis, Sentinel; and the standby."""

from deploy.render import toml_text
from deploy.render.toml_text import Value
from deploy.topology import Topology
from fleet.policy.errors import ConfigurationError

STATE = "/data"

_HEADER = """\
# Rendered from deploy/topology.toml.
#
# Each process group is a machine with a volume of its own. Sentinel needs literal addresses that
# all sites reach: give the redis and sentinel machines their WireGuard addresses. A machine that
# is replaced gets a new one; render again then, and run SENTINEL RESET on one Sentinel after the
# other. Machines that vote or hold data are never stopped or suspended by the proxy: a Sentinel
# that wakes up judges nothing for 30 s.

"""


def fly_toml(topology: Topology, *, app: str, region: str, host: str) -> str:
    """The text of `fly.toml`; `host` is the public name of the control plane.

    Raises ConfigurationError for broker settings that are unsafe together.
    """
    topology.check_broker()
    blocks: dict[str, Value] = {
        "app": app,
        "primary_region": region,
        "kill_signal": "SIGTERM",
        "kill_timeout": 60,
        "env": {
            "TURTLE_CONFIG": f"{STATE}/turtle.toml",
            "DJANGO_SETTINGS_MODULE": "turtle_site.settings",
            "TURTLE_CONTROL_PLANE__ALLOWED_HOSTS": f'["{host}"]',
            "TURTLE_CONTROL_PLANE__CSRF_TRUSTED_ORIGINS": f'["https://{host}"]',
        },
        "processes": {
            "control": "python manage.py control --host 0.0.0.0 --port 8080",
            "redis": f"redis-server {STATE}/broker/redis.conf",
            "sentinel": f"redis-server {STATE}/broker/sentinel.conf --sentinel",
        },
        "http_service": {
            "processes": ["control"],
            "internal_port": 8080,
            "force_https": True,
            "auto_stop_machines": "off",
            "auto_start_machines": True,
            "min_machines_running": 1,
        },
    }
    return _HEADER + toml_text.dumps(blocks) + _CHECK + _machines()


_STANDBY_HEADER = """\
# Rendered from deploy/topology.toml.
#
# An app of its own, so that the token with which the control plane starts the machine can touch
# nothing else. One machine: fly deploy --ha=false. No service stands before it, so that no proxy
# starts or stops it, and it is not started again when it ends: only the control plane starts it.
#
# Not a shared CPU: a machine that has just woken up would be throttled within seconds. Suspend
# needs at most 2 GB and no swap. A deploy throws the snapshot away; the next start is a cold one.

"""


def standby_fly_toml(topology: Topology, *, app: str, region: str) -> str:
    """The text of the standby machine's `fly.toml`; raises ConfigurationError without a standby."""
    box = topology.control_site.standby_box
    if box is None:
        raise ConfigurationError(f"{topology.control_site.name} has no standby_box")
    blocks: dict[str, Value] = {
        "app": app,
        "primary_region": region,
        "kill_signal": "SIGTERM",
        "kill_timeout": 120,
        "env": {"TURTLE_CONFIG": f"{STATE}/turtle.toml"},
        "processes": {"standby": "python -m probes.standby"},
    }
    return _STANDBY_HEADER + toml_text.dumps(blocks) + _STANDBY_MACHINE


#: The journal lives on the volume: what was not reported yet survives a cold start.
_STANDBY_MACHINE = f"""
[[mounts]]
source = "standby_data"
destination = "{STATE}"
processes = ["standby"]
snapshot_retention = 14

[[vm]]
processes = ["standby"]
size = "performance-1x"
memory = "2048mb"

[[restart]]
policy = "never"
processes = ["standby"]
"""

_CHECK = """
[[http_service.checks]]
method = "GET"
path = "/healthz"
interval = "15s"
timeout = "5s"
grace_period = "30s"
"""


def _machines() -> str:
    """Volumes of the groups that hold state, memory of all, and restart on every end."""
    mounts = "".join(
        f'\n[[mounts]]\nsource = "{group}_data"\ndestination = "{STATE}"\n'
        f'processes = ["{group}"]\nsnapshot_retention = 14\n'
        for group in ("control", "redis", "sentinel")
    )
    sizes = "".join(
        f'\n[[vm]]\nprocesses = ["{group}"]\nsize = "shared-cpu-1x"\nmemory = "{memory}"\n'
        for group, memory in _MEMORY.items()
    )
    return f'{mounts}{sizes}\n[[restart]]\npolicy = "always"\n'


_MEMORY = {
    "control": "512mb",
    "redis": "256mb",
    "sentinel": "256mb",
}
