"""The control plane's Django application."""

from django.apps import AppConfig


class FleetConfig(AppConfig):
    name = "fleet"
    default_auto_field = "django.db.models.BigAutoField"
    verbose_name = "Fleet"

    def ready(self) -> None:
        """Calls of fleet tasks in a Django process are accepted by the ledger."""
        from fleet.ledger.acceptor import LedgerAcceptor
        from tasks import app

        app.acceptor = LedgerAcceptor(app)
