"""`python -m deploy.cli`: the same as `turtle`."""

from deploy.cli import app

app()
