"""API tokens, shown once when they are made, and security events."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone

from fleet.admin.base import FleetAdmin, ReadOnlyAdmin, clipped, column, short_key
from fleet.api.credentials import digest_of, new_token
from fleet.models import ApiToken, Scope, SecurityEvent
from fleet.views.words import plural

STATE_COLOURS = {"good": "success", "expired": "warning", "revoked": "danger"}


class ApiTokenForm(ModelForm):  # type: ignore[type-arg]
    """An agent's token speaks for one site, the others for none."""

    class Meta:
        model = ApiToken
        fields = ("name", "scope", "site", "expires_at")

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        scope, site = data.get("scope"), data.get("site")
        if scope == Scope.AGENT and site is None:
            raise ValidationError({"site": "An agent's token needs the site it speaks for."})
        if scope and scope != Scope.AGENT and site is not None:
            raise ValidationError({"site": "Only an agent's token has a site; leave it empty."})
        return data


@admin.register(ApiToken)
class ApiTokenAdmin(FleetAdmin):
    """A token is made here and shown once; after that it can only be renamed, end or be revoked."""

    form = ApiTokenForm
    list_display = ("name", "scope", "site", "state", "created_at", "last_used_at", "expires_at")
    list_filter = ("scope", "site", "revoked_at", "expires_at")
    search_fields = ("name", "site__name")
    date_hierarchy = "created_at"
    actions = ("revoke",)
    fields = ("name", "scope", "site", "expires_at")

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        more = ("state", "created_at", "last_used_at", "revoked_at")
        return self.fields if obj is None else (*self.fields, *more)

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        fixed = ("scope", "site", "state", "created_at", "last_used_at", "revoked_at")
        return () if obj is None else fixed

    def get_form(
        self, request: HttpRequest, obj: Model | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        """Scope and site are fixed once the token exists, so there is nothing to check then."""
        if obj is not None:
            kwargs["form"] = ModelForm
        return super().get_form(request, obj, change=change, **kwargs)

    def save_model(self, request: HttpRequest, obj: ApiToken, form: Any, change: bool) -> None:
        """Keep the digest; the token itself lives only until the answer has been written."""
        if not change:
            token = new_token()
            obj.digest = digest_of(token)
            request.made_token = token  # type: ignore[attr-defined]
        super().save_model(request, obj, form, change)

    def response_add(
        self, request: HttpRequest, obj: ApiToken, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Show the token, on a page that nothing may keep."""
        context = {
            **self.admin_site.each_context(request),
            "title": f"Token {obj.name}",
            "token": request.made_token,  # type: ignore[attr-defined]
            "object": obj,
        }
        page = TemplateResponse(request, "admin/fleet/token_made.html", context)
        page.headers["Cache-Control"] = "no-store"
        return page

    @column("state", label=STATE_COLOURS)
    def state(self, obj: ApiToken) -> str:
        if obj.revoked_at is not None:
            return "revoked"
        over = obj.expires_at is not None and obj.expires_at <= timezone.now()
        return "expired" if over else "good"

    @admin.action(description="Revoke the selected tokens", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> None:
        count = queryset.filter(revoked_at=None).update(revoked_at=timezone.now())
        self.message_user(request, f"Revoked {plural(count, 'token')}.", messages.SUCCESS)


@admin.register(SecurityEvent)
class SecurityEventAdmin(ReadOnlyAdmin):
    """Messages and calls that were refused."""

    list_display = ("at", "kind", "site", "worker_id", "task", "run", "what")
    list_filter = ("kind", "site")
    search_fields = ("kind", "worker_id", "task", "run_id", "detail")
    date_hierarchy = "at"

    @column("run", ordering="run_id")
    def run(self, obj: SecurityEvent) -> str:
        return short_key(obj.run_id)

    @column("detail")
    def what(self, obj: SecurityEvent) -> str:
        return clipped(obj.detail)
