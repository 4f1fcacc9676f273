"""The provider's answers that are no success, told apart by what has to be done about them."""

import re
from collections.abc import Mapping

from fleet.policy.errors import ConfigurationError, FleetError, NetworkError, TheirError

LONGEST_REASON = 300
LONGEST_ASKED_PAUSE_S = 30.0


class MachinesTokenError(ConfigurationError):
    """The token is missing, wrong, or not for this app (401, 403)."""


class MachineMissingError(ConfigurationError):
    """There is no such app or machine (404)."""


class MachineRequestError(FleetError):
    """The request makes no sense to the provider (400, 422 and the like)."""


class MachineBusyError(TheirError):
    """Somebody else holds the machine's lease, or its state does not allow the call (409, 412).

    A machine that is just stopping answers so, too: the next look may find it ready.
    """

    transient = True


class PassingError(FleetError):
    """The same call may succeed in a moment; `asked_pause_s`: how long the API asked to wait."""

    transient = True
    asked_pause_s: float = 0.0


class RateLimitedError(PassingError, TheirError):
    """Too many calls (429)."""


class StateNotReachedError(NetworkError):
    """The machine did not reach the state in time (408)."""


class MachinesAwayError(PassingError, NetworkError):
    """The Machines API does not answer, or answers with a failure of its own (5xx)."""


class MachinesAnswerError(PassingError, TheirError):
    """The answer is not what the API's documentation says."""


_BY_STATUS: Mapping[int, tuple[type[FleetError], str]] = {
    401: (MachinesTokenError, "check token_file of [control_plane.machines]"),
    403: (MachinesTokenError, "check token_file and app of [control_plane.machines]"),
    404: (MachineMissingError, "check app and machine_id of [control_plane.machines]"),
    408: (StateNotReachedError, ""),
    409: (MachineBusyError, ""),
    412: (MachineBusyError, ""),
    429: (RateLimitedError, ""),
}


def refusal(what: str, status: int, reason: str, retry_after: str = "") -> FleetError:
    """The error for an HTTP status that is no success; `reason` is the provider's own text.

    `retry_after` is the header of that name: whole seconds, or nothing that is understood here.
    """
    kind, advice = _BY_STATUS.get(status, (None, ""))
    if kind is None:
        kind = MachinesAwayError if status >= 500 else MachineRequestError
    shown = re.sub(r"\s+", " ", reason).strip()[:LONGEST_REASON] or "no reason given"
    error = kind(f"{what}: {status}, {shown}" + (f"; {advice}" if advice else ""))
    if isinstance(error, PassingError) and retry_after.isdigit():
        error.asked_pause_s = min(float(retry_after), LONGEST_ASKED_PAUSE_S)
    return error
