"""The options that several commands over the API take."""

from pathlib import Path
from typing import Annotated

import typer

Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        envvar="TURTLE_API_URL",
        help="URL of the API, with /api/v1; default: the lab of this folder.",
    ),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        "--token-file", envvar="TURTLE_API_TOKEN_FILE", help="File of mode 600 with the API token."
    ),
]
Timeout = Annotated[
    float | None,
    typer.Option("--timeout", metavar="SECONDS", min=0, help="Wait no longer than this."),
]
