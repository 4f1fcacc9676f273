"""Sites, boxes, workers and the broker: what reported, and when."""

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.utils import timezone

from fleet.admin.base import (
    LIVENESS_COLOURS,
    FleetAdmin,
    ReadOnlyAdmin,
    ReadOnlyInline,
    column,
    pretty,
    together,
)
from fleet.api.ages import age_s
from fleet.models import BrokerView, HomeMail, Journal, Site, TokenCounter, Worker
from fleet.policy import liveness
from fleet.views.words import plural


class JournalInline(ReadOnlyInline):
    """The boxes of a site."""

    model = Journal
    fields = ("box", "acked_seq", "pending", "last_report_at", "trouble")


class WorkerInline(ReadOnlyInline):
    """The workers of a site."""

    model = Worker
    fields = ("id", "box", "slots", "busy", "last_seen_at", "stopped_at")


@admin.register(Site)
class SiteAdmin(FleetAdmin):
    """Title and note may be changed; the rest is provisioned or reported."""

    list_display = ("name", "number", "title", "verdict", "can", "last_seen_at")
    search_fields = ("name", "title", "note")
    list_filter = ("last_seen_at",)
    date_hierarchy = "last_seen_at"
    fields = (
        ("name", "number"),
        "title",
        "note",
        "can",
        "public_key",
        ("verdict", "last_seen_at"),
        "observations_json",
    )
    readonly_fields = (
        "name",
        "number",
        "can",
        "public_key",
        "verdict",
        "last_seen_at",
        "observations_json",
    )
    inlines = (JournalInline, WorkerInline)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """A site needs keys and brokers as well: `manage.py provision` adds it with them."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Runs and journals name their site for good."""
        return False

    @column("liveness", label=LIVENESS_COLOURS)
    def verdict(self, obj: Site) -> str:
        return str(liveness.verdict(age_s(obj.last_seen_at, timezone.now())).liveness)

    @column("capabilities")
    def can(self, obj: Site) -> str:
        return together(obj.capabilities)

    @column("observations")
    def observations_json(self, obj: Site) -> str:
        return pretty(obj.observations)


@admin.register(Worker)
class WorkerAdmin(ReadOnlyAdmin):
    """Celery workers, as their agents report them."""

    list_display = (
        "id",
        "verdict",
        "why",
        "site",
        "box",
        "load",
        "can",
        "last_seen_at",
    )
    list_filter = ("site", "box", "version")
    search_fields = ("id", "box")
    date_hierarchy = "last_seen_at"
    fields = (
        ("id", "pid"),
        ("verdict", "why"),
        ("site", "box"),
        ("can", "takes_from"),
        ("load", "version"),
        ("started_at", "last_seen_at"),
        "stopped_at",
    )

    @column("liveness", label=LIVENESS_COLOURS)
    def verdict(self, obj: Worker) -> str:
        return str(obj.verdict(timezone.now()).liveness)

    @column("busy")
    def load(self, obj: Worker) -> str:
        return f"{obj.busy} of {plural(obj.slots, 'slot')}"

    @column("capabilities")
    def can(self, obj: Worker) -> str:
        return together(obj.capabilities)

    @column("queues")
    def takes_from(self, obj: Worker) -> str:
        return together(obj.queues)

    @column("because")
    def why(self, obj: Worker) -> str:
        return obj.verdict(timezone.now()).reason


@admin.register(Journal)
class JournalAdmin(ReadOnlyAdmin):
    """How far each box's journal has been taken over."""

    list_display = ("box", "site", "acked_seq", "pending", "trouble", "last_report_at")
    list_filter = ("site",)
    search_fields = ("box", "trouble", "id")
    date_hierarchy = "last_report_at"
    fields = (
        ("box", "site"),
        "id",
        ("acked_seq", "pending"),
        ("last_report_at", "metrics_at"),
        "trouble",
        "metrics_json",
    )

    @column("metrics")
    def metrics_json(self, obj: Journal) -> str:
        return pretty(obj.metrics)


@admin.register(HomeMail)
class HomeMailAdmin(ReadOnlyAdmin):
    """What waits for the next report of a site."""

    list_display = ("id", "site", "kind", "created_at")
    list_filter = ("site", "kind")
    search_fields = ("kind", "site__name")
    date_hierarchy = "created_at"
    fields = (("site", "kind"), "created_at", "payload_json")

    @column("payload")
    def payload_json(self, obj: HomeMail) -> str:
        return pretty(obj.payload)


@admin.register(BrokerView)
class BrokerViewAdmin(ReadOnlyAdmin):
    """The broker as the control loop last saw it."""

    list_display = ("__str__", "seen_at", "unacked", "away_since", "away_reason")
    list_filter = ("master",)
    search_fields = ("master", "away_reason")
    date_hierarchy = "seen_at"
    fields = (
        ("master", "unacked"),
        ("seen_at", "away_since"),
        "away_reason",
        "queues_json",
    )

    @column("queues")
    def queues_json(self, obj: BrokerView) -> str:
        return pretty(obj.queues)


@admin.register(TokenCounter)
class TokenCounterAdmin(ReadOnlyAdmin):
    """Attempts ever issued by the control plane."""

    list_display = ("id", "value")
    search_fields = ("=value",)
