"""What the fleet does with a UniFi OS console: it reads the gateway's state."""

from functools import lru_cache

from pydantic import JsonValue

from fleet.policy.effects import EffectClass
from fleet.policy.errors import ConfigurationError
from probes.device_http import DeviceHttp
from probes.unifi.client import UnifiClient
from tasks.base import fleet_task
from tasks.settings import DeviceSettings, settings

NOT_CONFIGURED = """this box has no UniFi OS console; add to turtle.toml, for example:
[udm]
url = "https://192.0.2.1"
username = "turtle"
password_file = "/etc/turtle/udm.password"
certificate_sha256 = "<SHA-256 of the console's certificate, 64 hex digits>\""""


@fleet_task(capability="udm", effect=EffectClass.A, time_limit_s=60, soft_time_limit_s=50)
def gateway_health() -> dict[str, JsonValue]:
    """Read the gateway's state: WAN, CPU, memory, temperatures, subsystems."""
    return client(_device()).gateway_health().as_json()


@fleet_task(capability="udm", effect=EffectClass.A, time_limit_s=60, soft_time_limit_s=50)
def sysinfo() -> dict[str, JsonValue]:
    """Read what the console says about itself: version, uptime, updates."""
    return client(_device()).system_info().as_json()


@lru_cache(maxsize=4)
def client(device: DeviceSettings) -> UnifiClient:
    """The process' client of a console: its session outlives a run, since logins are limited."""
    http = DeviceHttp(
        device.url, certificate_sha256=device.certificate_sha256, timeout_s=device.timeout_s
    )
    return UnifiClient(http, device.username, device.password)


def _device() -> DeviceSettings:
    device = settings().udm
    if device is None:
        raise ConfigurationError(NOT_CONFIGURED)
    return device
