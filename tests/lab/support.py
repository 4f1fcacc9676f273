"""How tests reach the brokers the way Celery does."""

from typing import Any

from redis.backoff import NoBackoff
from redis.retry import Retry

from deploy.lab.brokers import Brokers
from deploy.lab.files import read_stripped
from deploy.render import acl


def sentinel_url(brokers: Brokers, site: str, user: str) -> str:
    """kombu's URL of all Sentinels, the site's own first."""
    password = read_stripped(brokers.password_file(user))
    return ";".join(
        f"sentinel://{user}:{password}@{address}/0" for address in brokers.sentinel_addresses(site)
    )


def transport_options(brokers: Brokers) -> dict[str, Any]:
    """kombu's options: short time limits, and the Sentinels' own user."""
    return {
        "master_name": brokers.master_name,
        "priority_steps": [0],
        "socket_timeout": 5,
        "socket_connect_timeout": 2,
        "sentinel_kwargs": {
            "username": acl.SENTINEL_CLIENT,
            "password": read_stripped(brokers.password_file(acl.SENTINEL_CLIENT)),
            "socket_timeout": 0.5,
            "socket_connect_timeout": 0.5,
            "retry": Retry(NoBackoff(), 0),
        },
    }
