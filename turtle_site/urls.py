"""All addresses of the control plane."""

from django.contrib import admin
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path

from fleet.api import api
from fleet.views.health import healthz

urlpatterns = [
    path("healthz", healthz, name="healthz"),
    path(
        "login/",
        login_not_required(LoginView.as_view(template_name="fleet/login.html")),
        name="login",
    ),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("admin/", admin.site.urls),
    path("api/v1/", api.urls),
    path("", include("fleet.views.urls")),
]
