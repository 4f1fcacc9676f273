"""Commands that the lab runs to their end before it goes on."""

import subprocess

from deploy.lab.errors import LabError
from deploy.lab.files import private_log, tail
from deploy.lab.processes import ProcessSpec

TIME_LIMIT_S = 120.0


def run_to_end(spec: ProcessSpec) -> None:
    """Run a command that ends by itself; raises LabError with the end of its log if it fails."""
    with private_log(spec.log) as log:
        try:
            done = subprocess.run(
                spec.argv,
                cwd=spec.cwd,
                env=dict(spec.env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                check=False,
                timeout=TIME_LIMIT_S,
            )
        except subprocess.TimeoutExpired as error:
            raise LabError(f"{spec.name} took more than {TIME_LIMIT_S:g} s") from error
    if done.returncode:
        raise LabError(f"{spec.name} failed; the end of {spec.log}:\n{tail(spec.log)}")
