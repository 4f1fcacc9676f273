"""Where a producer hands in its tasks: the control plane's API, or its own site's journal."""

from dataclasses import dataclass
from typing import Any, Protocol

import httpx

from fleet.policy.effects import EffectClass
from fleet.policy.errors import FleetError, NetworkError, TheirError

TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A call of the canary of a class. `site` pins it, "" lets any site take it."""

    key: str
    effect: EffectClass
    sleep_s: float = 0.0
    site: str = ""

    @property
    def task(self) -> str:
        return f"canary.effect_{self.effect.lower()}"


@dataclass(frozen=True, slots=True)
class Taken:
    """The answer: the run's id, and on how many sites it lies (1: one disk)."""

    id: str
    durability: int = 1


class Door(Protocol):
    """Accepts a call; the same key again gives the same run."""

    @property
    def home(self) -> str:
        """Who is the home of what is accepted here."""
        ...

    def accept(self, wanted: Wanted) -> Taken:
        """Raises NetworkError when it is not known whether the call was accepted."""
        ...


class ApiDoor:
    """The control plane's API."""

    home = "control"

    def __init__(self, api_url: str, token: str) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        self._client = httpx.Client(headers=headers, timeout=TIMEOUT_S)
        self._url = f"{api_url}/tasks"

    def accept(self, wanted: Wanted) -> Taken:
        body: dict[str, Any] = {
            "task": wanted.task,
            "args": [wanted.key, wanted.sleep_s],
            "idempotency_key": wanted.key,
        }
        try:
            answer = self._client.post(self._url, json=body | _pin(wanted))
        except httpx.HTTPError as error:
            raise NetworkError(f"no answer: {error or type(error).__name__}") from error
        if answer.status_code in (200, 201):
            found = answer.json()
            return Taken(str(found["id"]), int(found.get("durability") or 1))
        if answer.status_code >= 500:
            raise NetworkError(f"the control plane answers {answer.status_code}")
        raise TheirError(f"refused ({answer.status_code}): {answer.text[:300]}")


class HomeDoor:
    """The journal of the LAN box whose configuration this process has: no network is needed."""

    def __init__(self) -> None:
        # Here, not above: the configuration is read at import, and API producers have none.
        from tasks import app
        from tasks.settings import settings

        self.home = settings().site
        self._app = app

    def accept(self, wanted: Wanted) -> Taken:
        try:
            handle = self._app.send_task(
                wanted.task,
                args=[wanted.key, wanted.sleep_s],
                idempotency_key=wanted.key,
                **_pin(wanted),
            )
        except FleetError as error:
            if error.blame == "theirs":
                raise
            raise NetworkError(f"the journal took nothing: {error}") from error
        return Taken(str(handle.id))


def _pin(wanted: Wanted) -> dict[str, Any]:
    return {"site": wanted.site} if wanted.site else {}
