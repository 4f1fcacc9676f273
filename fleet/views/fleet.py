"""The fleet's page and its live part."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from fleet.views.facts.fleet import fleet_facts
from fleet.views.live import fragment


@require_safe
def dashboard(request: HttpRequest) -> HttpResponse:
    """The whole fleet on one page."""
    now = timezone.now()
    return render(request, "fleet/dashboard.html", {"facts": fleet_facts(now), "now": now})


@require_safe
def fleet_fragment(request: HttpRequest) -> HttpResponse:
    """The part of the page that changes."""
    now = timezone.now()
    return fragment(request, "fleet/_fleet.html", fleet_facts(now), {"now": now})
