"""`python -m deploy.papers`: write the generated parts; with `--check`, only tell stale ones."""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.papers.parts import REPOSITORY, stale
from deploy.render import toml_text
from deploy.render.toml_text import Value


@contextmanager
def some_configuration() -> Iterator[None]:
    """A configuration to import the tasks with; no part of the papers depends on its values."""
    with tempfile.TemporaryDirectory() as folder:
        secret, config = Path(folder, "secret"), Path(folder, "turtle.toml")
        secret.touch(mode=0o600)
        broker: dict[str, Value] = {
            "sentinels": ("127.0.0.1:1",),
            "username": "nobody",
            "password_file": secret,
        }
        broker["sentinel_password_file"] = secret
        config.write_text(toml_text.dumps({"site": "dc1", "box": "papers", "broker": broker}))
        os.environ["TURTLE_CONFIG"] = str(config)
        yield


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail if a part is stale"
    )
    options = parser.parse_args()
    with some_configuration():
        changed = stale()
    for path, text in changed.items():
        sys.stdout.write(
            f"{'stale' if options.check else 'written'}: {path.relative_to(REPOSITORY)}\n"
        )
        if not options.check:
            path.write_text(text, encoding="utf-8")
    return 1 if changed and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
