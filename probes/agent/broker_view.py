"""The site's own Redis and Sentinel, as the agent sees them: role, lag, who is master."""

from typing import Any

import redis
from redis.exceptions import RedisError

from tasks.broker import sentinel_kwargs
from tasks.settings import BrokerSettings


class BrokerView:
    """Asks the own site's Sentinel, the first in the list."""

    def __init__(self, broker: BrokerSettings) -> None:
        host, _, port = broker.sentinels[0].rpartition(":")
        self._broker = broker
        self._host = host
        self._sentinel = redis.Redis(
            host=host, port=int(port), decode_responses=True, **sentinel_kwargs(broker)
        )

    def read(self) -> dict[str, Any]:
        """Master, this site's role and how far behind it is; `error` when Sentinel is silent."""
        try:
            state: Any = self._sentinel.sentinel_master(self._broker.master_name)
            replicas: Any = self._sentinel.sentinel_slaves(self._broker.master_name)
        except (RedisError, OSError) as error:
            return {"error": f"own Sentinel: {type(error).__name__}"}
        view: dict[str, Any] = {
            "master": f"{state['ip']}:{state['port']}",
            "epoch": state["config-epoch"],
            "sentinel_others": state["num-other-sentinels"],
            "role": "unknown",
        }
        if state["ip"] == self._host and self._is_own(state["ip"], state["port"]):
            return view | {"role": "master"}
        for replica in replicas:
            if replica["ip"] == self._host and self._is_own(replica["ip"], replica["port"]):
                down = "disconnected" in replica["flags"] or "s_down" in replica["flags"]
                view |= {"role": "down" if down else "replica"}
                view |= {"link": replica["master-link-status"]}
                view |= {"offset": replica["slave-repl-offset"]}
        return view

    def _is_own(self, host: str, port: int) -> bool:
        """All sites share one address where a machine has only 127.0.0.1; then nothing is own."""
        addresses = [a.rpartition(":")[0] for a in self._broker.sentinels]
        return addresses.count(host) == 1 and bool(port)
