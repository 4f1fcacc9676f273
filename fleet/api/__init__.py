"""The REST API, mounted at `/api/v1/`: OpenAPI at `openapi.json`, its pages at `docs`."""

from fleet.api.door import BoundedParser, FleetApi, docs_door
from fleet.api.observe import router as observe
from fleet.api.operate import router as operate
from fleet.api.reports import router as reports
from fleet.api.standby import router as standby
from fleet.api.tasks import router as tasks

api = FleetApi(
    title="Turtle Fleet",
    version="1",
    urls_namespace="api-v1",
    description=(
        "Send `Authorization: Bearer <token>`. Errors are `application/problem+json` (RFC 9457): "
        "`detail` says what to do, the other members depend on `type`. Times are UTC."
    ),
    docs_decorator=docs_door,
    parser=BoundedParser(),
)
api.add_router("/tasks", tasks, tags=["tasks"])
api.add_router("/reports", reports, tags=["agents"])
api.add_router("/standby", standby, tags=["agents"])
api.add_router("", observe, tags=["fleet"])
api.add_router("", operate, tags=["fleet"])

__all__ = ["api"]
