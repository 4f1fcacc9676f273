"""The addresses of the pages."""

from django.contrib.auth.decorators import login_not_required
from django.templatetags.static import static
from django.urls import path
from django.views.generic import RedirectView

from fleet.views import fleet, flower, runs

#: Browsers ask for this address by themselves, on pages of others as well.
favicon = login_not_required(RedirectView.as_view(url=static("fleet/favicon.svg")))

urlpatterns = [
    path("favicon.ico", favicon, name="favicon"),
    path("", fleet.dashboard, name="dashboard"),
    path("fleet/fragment", fleet.fleet_fragment, name="fleet-fragment"),
    path("runs/", runs.runs, name="runs"),
    path("runs/<uuid:run_id>/", runs.run, name="run"),
    path("runs/<uuid:run_id>/fragment", runs.run_fragment, name="run-fragment"),
    path("runs/<uuid:run_id>/cancel", runs.cancel, name="run-cancel"),
    path("runs/<uuid:run_id>/retry", runs.retry, name="run-retry"),
    path("flower/", flower.flower, name="flower"),
    path("flower/<path:path>", flower.flower, name="flower-page"),
]
