"""The page that enqueues a task: choose one, then fill in the form of its signature."""

from collections import defaultdict
from typing import Any

from django.contrib import messages
from django.contrib.admin import AdminSite
from django.db import DatabaseError, transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse

from fleet.admin.enqueue_form import EnqueueForm
from fleet.api.problems import problem_of
from fleet.ledger.enqueue import Accepted, accept
from fleet.policy.contracts import TaskContract
from fleet.policy.errors import FleetError
from tasks import app
from tasks.call import task_contracts


def enqueue_view(admin_site: AdminSite, request: HttpRequest) -> HttpResponse:
    """Without `?task=` the list of tasks, with it the task's form."""
    contracts = task_contracts(app)
    name = request.GET.get("task", "")
    context = {**admin_site.each_context(request), "title": "Enqueue task"}
    if not name:
        context["groups"] = _by_module(contracts)
        return TemplateResponse(request, "admin/fleet/enqueue_choose.html", context)
    if name not in contracts:
        raise Http404(f"there is no task {name!r}")
    form = EnqueueForm(app, name, request.POST if request.method == "POST" else None)
    accepted = _accept(form, request) if form.is_valid() else None
    if accepted is not None:
        return _to_run(request, accepted)
    context |= {"title": f"Enqueue {name}", **_about(contracts[name]), "form": form}
    return TemplateResponse(request, "admin/fleet/enqueue_form.html", context)


def _accept(form: EnqueueForm, request: HttpRequest) -> Accepted | None:
    try:
        with transaction.atomic():
            return accept(app, form.call, by=request.user.get_username())
    except FleetError as error:
        form.refuse(error)
    except DatabaseError as error:
        form.add_error(None, problem_of(error).detail)
    return None


def _to_run(request: HttpRequest, accepted: Accepted) -> HttpResponse:
    if accepted.created:
        messages.success(request, f"{accepted.run.task} is accepted.")
    else:
        messages.info(request, "This idempotency key was used before; this is its run.")
    return redirect("admin:fleet_taskrun_change", accepted.run.pk)


def _by_module(contracts: dict[str, TaskContract]) -> dict[str, list[TaskContract]]:
    groups: dict[str, list[TaskContract]] = defaultdict(list)
    for name in sorted(contracts):
        groups[name.partition(".")[0]].append(contracts[name])
    return dict(groups)


def _about(contract: TaskContract) -> dict[str, Any]:
    description = (app.tasks[contract.name].__doc__ or contract.summary).strip()
    return {"contract": contract, "description": description}
