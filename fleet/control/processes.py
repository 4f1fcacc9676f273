"""What the control plane's processes do, each until SIGTERM."""

import logging
import os
import signal
import threading
from types import FrameType
from urllib.parse import urlsplit

log = logging.getLogger(__name__)


def run_web(host: str, port: int) -> None:
    """Serve HTTP."""
    import uvicorn

    from turtle_site.asgi import application

    uvicorn.run(
        application,
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        lifespan="off",
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=5,
    )


def run_loop() -> None:
    """The control loop."""
    from fleet.control.loop import ControlLoop

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    ControlLoop(stop).run()


def run_beat() -> None:
    """Celery's beat, with the schedules of the database."""
    from celery.beat import Service
    from django_celery_beat.schedulers import DatabaseScheduler

    from tasks import app

    service = Service(app, max_interval=5, scheduler_cls=DatabaseScheduler)

    def stop(_number: int, _frame: FrameType | None) -> None:
        service.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    service.start()


def run_agent() -> None:
    """The agent of the control plane's own box: it observes, and takes no tasks."""
    from probes.agent.agent import Agent
    from tasks.settings import settings

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    Agent(settings(), stop).run()


def run_flower() -> None:
    """Flower, privately: the web process passes on what logged-in operators ask of it."""
    from django.conf import settings as django_settings

    from tasks import app
    from tasks.settings import read_secret

    place = urlsplit(django_settings.CONTROL.flower_url)
    if django_settings.CONTROL.flower_auth_file is not None:
        # In the environment, since everybody on the machine can read a command line.
        os.environ["FLOWER_BASIC_AUTH"] = read_secret(django_settings.CONTROL.flower_auth_file)
    arguments = (f"--address={place.hostname}", f"--port={place.port}", "--url_prefix=flower")
    app.start(argv=["flower", *arguments])
