"""The site's own Redis and Sentinel, as the agent sees them: role, lag, who is master."""

from collections.abc import Mapping
from typing import Any

import redis
from redis.exceptions import ReadOnlyError, RedisError

from fleet.policy.broker_rules import unsafe
from tasks.broker import master_client, sentinel_kwargs
from tasks.settings import BrokerSettings


class BrokerView:
    """Asks the own site's Sentinel, the first in the list."""

    def __init__(self, broker: BrokerSettings, hosts: Mapping[str, str]) -> None:
        """`hosts`: address of a box -> its site."""
        host, _, port = broker.sentinels[0].rpartition(":")
        self._hosts = hosts
        self._master = master_client(broker)
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
            "answer": self._answer(),
            "down": self._down([state, *replicas]),
            "unsafe": list(self._broken(state)),
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

    def unsafe(self) -> tuple[str, ...]:
        """What is dangerous in how the own Sentinel is set up; empty when it does not answer."""
        try:
            state: Any = self._sentinel.sentinel_master(self._broker.master_name)
        except (RedisError, OSError):
            return ()
        return self._broken(state)

    def _broken(self, state: Any) -> tuple[str, ...]:
        return unsafe(
            self._hosts.get(self._host, self._host),
            max_lag_s=self._broker.max_lag_s,
            down_after_s=state["down-after-milliseconds"] / 1000,
            quorum=state["quorum"],
            others_seen=state["num-other-sentinels"],
        )

    def _answer(self) -> str:
        """How the master answers a client of this box."""
        try:
            self._master.ping()
        except ReadOnlyError:
            return "readonly"
        except (RedisError, OSError):
            return "timeout"
        return "ok"

    def _down(self, instances: list[Any]) -> dict[str, str]:
        """Site -> s_down or o_down, for each Redis that the own Sentinel cannot reach."""
        found: dict[str, str] = {}
        for instance in instances:
            flags = str(instance["flags"]).split(",")
            worst = next((flag for flag in ("o_down", "s_down") if flag in flags), "")
            site = self._hosts.get(instance["ip"])
            if worst and site:
                found[site] = worst
        return found

    def _is_own(self, host: str, port: int) -> bool:
        """All sites share one address where a machine has only 127.0.0.1; then nothing is own."""
        addresses = [a.rpartition(":")[0] for a in self._broker.sentinels]
        return addresses.count(host) == 1 and bool(port)
