"""Celery's settings, for every process that speaks to the broker.

The reasons are in docs/broker.md: what a process does not set here makes it hang when a broker
freezes, or lose the first task after a switch.
"""

import logging
import sys

from fleet.policy import routing
from fleet.policy.errors import ConfigurationError
from tasks import island
from tasks.broker import broker_urls, sentinel_kwargs, transport_options
from tasks.settings import settings
from tasks.transport import use_sentinel_login

try:
    _settings = settings()
except ConfigurationError as error:
    logging.getLogger("tasks").critical("%s", error)
    sys.exit(78)  # EX_CONFIG of sysexits.h

broker_url = broker_urls(_settings.broker)
use_sentinel_login(sentinel_kwargs(_settings.broker))
broker_transport_options = transport_options(_settings.broker)
broker_connection_retry_on_startup = True
broker_connection_max_retries = None
broker_channel_error_retry = True
broker_pool_acquire_timeout = 5
broker_connection_timeout = 2

task_acks_late = True
task_reject_on_worker_lost = True
task_ignore_result = True
result_backend = "tasks.backend:NoResults"
result_expires = None
task_serializer = "json"
accept_content = ["json"]
event_serializer = "json"
task_create_missing_queues = False
task_default_queue = routing.CAPABILITIES[0]
task_publish_retry = False
task_send_sent_event = False
task_queues = {
    name: {"exchange": "", "routing_key": name} for name in routing.all_queues(_settings.sites)
}

worker_prefetch_multiplier = 1
worker_disable_prefetch = True
worker_send_task_events = True
worker_hijack_root_logger = True
worker_cancel_long_running_tasks_on_connection_loss = False
worker_soft_shutdown_timeout = 30
worker_enable_soft_shutdown_on_idle = True
worker_eta_task_limit = 100
worker_proc_alive_timeout = 20
worker_concurrency = 2

enable_utc = True
timezone = "UTC"
beat_scheduler = "django_celery_beat.schedulers:DatabaseScheduler"

if island.on_island():
    # Nobody but the agent speaks to this worker, and nobody listens to it.
    island.install_island_transport()
    broker_url = island.URL
    broker_transport_options = island.island_options(_settings.state_dir)
    worker_disable_prefetch = False
    worker_send_task_events = False
    worker_enable_remote_control = False
