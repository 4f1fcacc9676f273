"""How the lab keeps its sites apart."""

from enum import StrEnum


class Driver(StrEnum):
    """`loopback`: an address range a site. `namespaces`: a network namespace a site."""

    LOOPBACK = "loopback"
    NAMESPACES = "namespaces"
