"""What the fleet does with an OpenWrt router: it reads the router's state."""

from functools import lru_cache

from pydantic import JsonValue

from fleet.policy.effects import EffectClass
from fleet.policy.errors import ConfigurationError
from probes.device_http import DeviceHttp
from probes.openwrt.client import OpenWrtClient
from tasks.base import fleet_task
from tasks.settings import DeviceSettings, settings

NOT_CONFIGURED = """this box has no OpenWrt router; add to turtle.toml, for example:
[openwrt]
url = "http://192.0.2.1"
username = "turtle"
password_file = "/etc/turtle/openwrt.password\""""


@fleet_task(capability="openwrt", effect=EffectClass.A, time_limit_s=60, soft_time_limit_s=50)
def system() -> dict[str, JsonValue]:
    """Read the router's system state: release, load, CPU, memory, storage, temperature."""
    return client(_device()).system().as_json()


@fleet_task(capability="openwrt", effect=EffectClass.A, time_limit_s=60, soft_time_limit_s=50)
def interfaces() -> dict[str, JsonValue]:
    """Read the router's logical interfaces: state, addresses, default route, errors."""
    return {"interfaces": [state.as_json() for state in client(_device()).interfaces()]}


@fleet_task(capability="openwrt", effect=EffectClass.A, time_limit_s=60, soft_time_limit_s=50)
def devices(name: str | None = None) -> dict[str, JsonValue]:
    """Read the router's network devices, or one of them: carrier, speed, counters."""
    return {"devices": [state.as_json() for state in client(_device()).devices(name)]}


@lru_cache(maxsize=4)
def client(device: DeviceSettings) -> OpenWrtClient:
    """The process' client of a router; its session outlives a run."""
    http = DeviceHttp(
        device.url, certificate_sha256=device.certificate_sha256, timeout_s=device.timeout_s
    )
    return OpenWrtClient(http, device.username, device.password)


def _device() -> DeviceSettings:
    device = settings().openwrt
    if device is None:
        raise ConfigurationError(NOT_CONFIGURED)
    return device
