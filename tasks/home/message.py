"""From a signed attempt to a Celery message."""

from typing import Any

from celery import Celery

from fleet.policy.envelope import header
from tasks.home.signer import Signed
from tasks.revoke import TOKEN_STAMP


def send_signed(app: Celery, producer: Any, signed: Signed) -> None:
    """Give one signed attempt to a kombu producer."""
    envelope = signed.envelope
    headers, properties, body, _sent = app.amqp.as_task_v2(
        envelope.id,
        envelope.task,
        envelope.args,
        envelope.kwargs,
        ignore_result=True,
        stamped_headers=[TOKEN_STAMP],
        **{TOKEN_STAMP: [str(envelope.token)]},
        group_id=signed.group_id or None,
        argsrepr=signed.args_repr,
        kwargsrepr=signed.kwargs_repr,
    )
    producer.publish(
        body,
        exchange="",
        routing_key=envelope.queue,
        serializer="json",
        delivery_mode=2,
        headers={**headers, "turtle": header(envelope, signed.signature)},
        **properties,
    )
