"""systemd units of a LAN box: Redis, Sentinel, worker and agent.

Layout: the package in `/opt/turtle`, configuration and secrets in `/etc/turtle`, state in
`/var/lib/turtle`; all run as the user `turtle`. Units that configure themselves anew at a
failover (Redis, Sentinel) keep their configuration in the state folder.
"""

from deploy.topology import Site

PYTHON = "/opt/turtle/bin/python"
STATE = "/var/lib/turtle"


def units(site: Site) -> dict[str, str]:
    """File name and text of every unit of a site's box."""
    found = {
        "turtle-redis.service": _unit(
            "Redis", f"/usr/bin/redis-server {STATE}/broker/redis.conf", stop_s=30
        ),
        "turtle-sentinel.service": _unit(
            "Sentinel", f"/usr/bin/redis-server {STATE}/broker/sentinel.conf --sentinel", stop_s=10
        ),
        "turtle-agent.service": _unit("agent", f"{PYTHON} -m probes.agent", stop_s=20),
    }
    if site.capabilities:
        found["turtle-worker.service"] = _unit(
            "worker", f"{PYTHON} -m celery {' '.join(worker_arguments(site))}", stop_s=60
        )
    return found


def worker_arguments(site: Site) -> tuple[str, ...]:
    """Arguments of `celery` for a site's worker.

    Without mingle and gossip: they add seconds to each reconnect and no safety.
    """
    return (
        *("-A", "tasks", "worker", "-l", "INFO", "-n", f"{site.box}@{site.name}"),
        *("--without-mingle", "--without-gossip"),
    )


def _unit(what: str, command: str, *, stop_s: int) -> str:
    """`stop_s`: seconds for a clean end before the process is killed."""
    return f"""[Unit]
Description=Turtle Fleet {what}
Wants=network-online.target
After=network-online.target

[Service]
User=turtle
Environment=TURTLE_CONFIG=/etc/turtle/turtle.toml
WorkingDirectory={STATE}
ExecStart={command}
Restart=always
RestartSec=2
KillMode=mixed
TimeoutStopSec={stop_s}
UMask=0077
NoNewPrivileges=yes
PrivateTmp=yes
ProtectSystem=strict
ProtectHome=yes
ReadWritePaths={STATE}

[Install]
WantedBy=multi-user.target
"""
