"""`python -m deploy.lab.scenario`: the same as `turtle lab scenario`."""

import typer

from deploy.cli.lab_scenario import scenario

typer.run(scenario)
