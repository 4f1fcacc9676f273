"""The rows of the ledger. Only `fleet.ledger` writes runs, attempts and outcomes."""

from fleet.models.access import ApiToken, Scope, SecurityEvent
from fleet.models.broker import BrokerView
from fleet.models.resilience import (
    ActivationLease,
    FleetEvent,
    FleetState,
    Maintenance,
    Override,
    StandbyMonth,
)
from fleet.models.run import CONTROL_HOME, Attempt, RunEvent, TaskRun, TokenCounter
from fleet.models.site import HomeMail, Journal, Site
from fleet.models.worker import Worker

__all__ = [
    "CONTROL_HOME",
    "ActivationLease",
    "ApiToken",
    "Attempt",
    "BrokerView",
    "FleetEvent",
    "FleetState",
    "HomeMail",
    "Journal",
    "Maintenance",
    "Override",
    "RunEvent",
    "Scope",
    "SecurityEvent",
    "Site",
    "StandbyMonth",
    "TaskRun",
    "TokenCounter",
    "Worker",
]
