"""What the fleet decided about itself: read-only; it is changed by `turtle maint|override`."""

from django.contrib import admin

from fleet.admin.base import ReadOnlyAdmin, clipped, column, together
from fleet.models import (
    ActivationLease,
    FleetEvent,
    FleetState,
    Maintenance,
    Override,
    StandbyMonth,
)


@admin.register(FleetState)
class FleetStateAdmin(ReadOnlyAdmin):
    """The mode of the whole fleet."""

    list_display = ("mode", "site", "epoch", "since", "reason")
    list_filter = ("mode",)
    search_fields = ("mode", "site", "reason")
    date_hierarchy = "since"


@admin.register(ActivationLease)
class ActivationLeaseAdmin(ReadOnlyAdmin):
    """The standby's lease and its machine."""

    list_display = ("generation", "activator", "down", "granted_at", "machine", "machine_reason")
    list_filter = ("machine",)
    search_fields = ("activator", "down", "machine_reason")
    date_hierarchy = "granted_at"


@admin.register(StandbyMonth)
class StandbyMonthAdmin(ReadOnlyAdmin):
    """What the standby was used, month by month."""

    list_display = ("month", "active_s")
    list_filter = ("month",)
    search_fields = ("month",)


@admin.register(Maintenance)
class MaintenanceAdmin(ReadOnlyAdmin):
    """Planned stops of sites."""

    list_display = ("site", "began_at", "until", "ended_at", "by", "reason")
    list_filter = ("site",)
    search_fields = ("by", "reason", "site__name")
    date_hierarchy = "began_at"


@admin.register(Override)
class OverrideAdmin(ReadOnlyAdmin):
    """What operators have asserted against what the machine may know."""

    list_display = ("epoch", "down", "began_at", "expires_at", "ended_at", "by", "reason")
    list_filter = ("began_at",)
    search_fields = ("by", "reason")
    date_hierarchy = "began_at"
    fields = (
        ("epoch", "down"),
        ("began_at", "expires_at"),
        ("ended_at", "by"),
        "reason",
    )

    @column("asserted down")
    def down(self, obj: Override) -> str:
        return together(obj.asserted)


@admin.register(FleetEvent)
class FleetEventAdmin(ReadOnlyAdmin):
    """Changes of verdict, mode, lease, machine and recovery, with their reasons."""

    list_display = ("at", "kind", "subject", "was", "became", "because", "who")
    list_filter = ("kind", "subject")
    search_fields = ("subject", "was", "became", "why", "who")
    date_hierarchy = "at"

    @column("why")
    def because(self, obj: FleetEvent) -> str:
        return clipped(obj.why)
