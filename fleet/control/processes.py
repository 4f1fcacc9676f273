"""What the control plane's processes do, each until SIGTERM."""

import logging
import os
import signal
import threading
from typing import Any
from urllib.parse import urlsplit

log = logging.getLogger(__name__)
#: How often beat looks whether a schedule has changed, seconds.
BEAT_LOOKS_EVERY_S = 5


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
    """The control loop, and beat in a thread beside it: it sleeps most of the time, and a
    process of its own would cost a tenth of the control plane's memory."""
    from celery.beat import Service

    from fleet.control.guard import Guard
    from fleet.control.loop import ControlLoop
    from fleet.control.schedules import FleetScheduler
    from tasks import app

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    paused = threading.Event()
    guard = Guard(stop, paused)
    guard.start()
    service = Service(app, max_interval=BEAT_LOOKS_EVERY_S, scheduler_cls=FleetScheduler)
    beat = threading.Thread(target=_beat, args=(service, stop), name="beat", daemon=True)
    beat.start()
    ControlLoop(stop, paused).run()
    guard.join()
    service.stop()
    beat.join(timeout=2 * BEAT_LOOKS_EVERY_S)


def _beat(service: Any, stop: threading.Event) -> None:
    """Without schedules the fleet is not whole: when beat ends, its process ends, too, and the
    supervisor starts both again."""
    try:
        service.start()
    except Exception:  # the boundary of the thread: say why, then end the process
        log.exception("beat ended with an error")
    finally:
        stop.set()


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

    from fleet.control.flower_handlers import install
    from tasks import app
    from tasks.settings import read_secret

    install()
    place = urlsplit(django_settings.CONTROL.flower_url)
    if django_settings.CONTROL.flower_auth_file is not None:
        # In the environment, since everybody on the machine can read a command line.
        os.environ["FLOWER_BASIC_AUTH"] = read_secret(django_settings.CONTROL.flower_auth_file)
    arguments = (f"--address={place.hostname}", f"--port={place.port}", "--url_prefix=flower")
    app.start(argv=["flower", *arguments])
