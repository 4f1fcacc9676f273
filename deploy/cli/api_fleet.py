"""`turtle workers`, `turtle sites`, `turtle queues`: what was reported, and how long ago."""

from deploy.cli.api_common import calling
from deploy.cli.api_options import TokenFile, Url
from deploy.cli.api_tables import print_queues, print_sites, print_workers
from deploy.cli.output import AsJson, print_json


def workers(url: Url = None, token_file: TokenFile = None, as_json: AsJson = False) -> None:
    """Show the workers: alive or not, how busy, what they can do."""
    with calling(url, token_file, as_json) as client:
        found = client.get("workers")
    if as_json:
        print_json(found)
    else:
        print_workers(found["items"])


def sites(url: Url = None, token_file: TokenFile = None, as_json: AsJson = False) -> None:
    """Show the sites: heard of when, with how many workers, in what trouble."""
    with calling(url, token_file, as_json) as client:
        found = client.get("sites")
    if as_json:
        print_json(found)
    else:
        print_sites(found["items"])


def queues(url: Url = None, token_file: TokenFile = None, as_json: AsJson = False) -> None:
    """Show the queues: what waits where, for how long, and who serves it."""
    with calling(url, token_file, as_json) as client:
        found = client.get("queues")
    if as_json:
        print_json(found)
    else:
        print_queues(found["items"], found["broker"])
