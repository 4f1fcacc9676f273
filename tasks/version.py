"""The installed version of the fleet, for whoever reports it."""

from importlib.metadata import PackageNotFoundError, version


def package_version() -> str:
    """The version, or `unpackaged` in a checkout that is not installed."""
    try:
        return version("turtle-fleet")
    except PackageNotFoundError:
        return "unpackaged"
