"""The catalogue of the tasks, from their declarations."""

import inspect
from itertools import groupby

from deploy.papers.markdown import first_paragraph
from fleet.policy.contracts import TaskContract
from fleet.policy.effects import EffectClass
from tasks.app import app
from tasks.call import task_contracts


def catalogue() -> str:
    """Every task with its declaration, by module."""
    contracts = sorted(task_contracts(app).values(), key=lambda contract: contract.name)
    parts = []
    for module, members in groupby(contracts, key=lambda contract: contract.name.partition(".")[0]):
        parts += [f"## {module}\n", *map(_task, members)]
    return "\n".join(parts)


def _task(contract: TaskContract) -> str:
    function = app.tasks[contract.name].run
    soft = f" (soft {contract.soft_time_limit_s:g} s)" if contract.soft_time_limit_s else ""
    attempts = 1 if contract.effect is EffectClass.D else contract.max_attempts
    facts = (
        f"capability `{contract.capability}`",
        f"effect class {contract.effect}",
        f"attempts: {attempts}",
        f"time limit {contract.time_limit_s:g} s{soft}",
        f"result {contract.result}",
    )
    call = f"{contract.name}{inspect.signature(function)}"
    return f"### {contract.name}\n`{call}`\n\n{first_paragraph(function)}\n\n{' · '.join(facts)}\n"
