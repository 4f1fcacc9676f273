"""What can go wrong in the lab, said so that the reader knows what to do."""

from fleet.policy.errors import FleetError


class LabError(FleetError):
    """A step of the lab failed; the message carries the end of the log where there is one."""


class NotReadyError(LabError):
    """Something did not become ready before its deadline."""

    transient = True
