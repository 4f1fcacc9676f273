"""The list of runs, the page of one run, and its buttons."""

from collections.abc import Callable
from http import HTTPStatus
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from fleet.api.errors import ParameterError
from fleet.ledger import operate
from fleet.models import CONTROL_HOME, TaskRun
from fleet.policy.states import IllegalTransitionError
from fleet.views.facts.run_page import run_facts
from fleet.views.facts.runs_page import RunsPage, runs_page
from fleet.views.forms import RunFilterForm, task_names
from fleet.views.live import fragment
from fleet.views.words import site_label


@require_safe
def runs(request: HttpRequest) -> HttpResponse:
    """Runs by status, task, site and text, newest first. 400 for a filter that cannot be."""
    now = timezone.now()
    form = RunFilterForm(request.GET)
    page, status = RunsPage((), None), HTTPStatus.BAD_REQUEST
    if form.is_valid():
        try:
            page, status = runs_page(form.filters(request.GET.get("cursor")), now), HTTPStatus.OK
        except ParameterError:
            form.add_error(None, "This page of the list does not exist. Start at the newest runs.")
    context = {"page": page, "form": form, "task_names": task_names(), "now": now}
    return render(request, "fleet/runs.html", context, status=status)


@require_safe
def run(request: HttpRequest, run_id: UUID) -> HttpResponse:
    """All that the ledger knows of one run."""
    now = timezone.now()
    facts = run_facts(get_object_or_404(TaskRun, pk=run_id), now)
    context = {"facts": facts, "now": now, "operator": may_operate(request.user)}
    return render(request, "fleet/run.html", context)


@require_safe
def run_fragment(request: HttpRequest, run_id: UUID) -> HttpResponse:
    """The part of a run's page that changes."""
    now = timezone.now()
    facts = run_facts(get_object_or_404(TaskRun, pk=run_id), now)
    context = {"now": now, "operator": may_operate(request.user)}
    return fragment(request, "fleet/_run.html", facts, context)


@require_POST
def cancel(request: HttpRequest, run_id: UUID) -> HttpResponse:
    """Cancel an unfinished run; staff only."""
    return _operate(request, run_id, operate.cancel, "Cancelled.", "cancel it")


@require_POST
def retry(request: HttpRequest, run_id: UUID) -> HttpResponse:
    """Give a finished run another attempt; staff only."""
    return _operate(request, run_id, operate.retry, "It will run again.", "run it again")


def may_operate(user: AbstractBaseUser | AnonymousUser) -> bool:
    """Whether the user may cancel runs and run them again."""
    return bool(getattr(user, "is_staff", False))


def _operate(
    request: HttpRequest, run_id: UUID, change: Callable[..., TaskRun], done: str, wish: str
) -> HttpResponse:
    if not may_operate(request.user):
        raise PermissionDenied("Only staff may change runs. Ask an administrator.")
    try:
        changed = change(run_id, who=request.user.get_username())
    except TaskRun.DoesNotExist:
        raise Http404("There is no such run.") from None
    except IllegalTransitionError as error:
        messages.error(request, f"Not changed: {error}.")
    else:
        away = changed.home != CONTROL_HOME
        asked = f"{site_label(changed.home)}, the run's home, was asked to {wish}."
        messages.success(request, asked if away else done)
    return redirect("run", run_id)
