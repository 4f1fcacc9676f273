"""fly Machines for the lab: the API's calls, and a machine whose processes are real.

Run it: `python -m deploy.lab.simulators.fly --port 4280 --token-file F --folder D -- COMMAND`.
The machine runs COMMAND: starting it starts the process, suspending it stops the process with
SIGSTOP and resuming lets it go on (so its sockets are as dead as a resumed machine's), stopping
sends TERM. A machine outlives the API: a killed simulator finds its machine again when it is
started anew.

Faults: `POST /_sim/errors` with `{"mode": …, "seconds": …}`, and `GET /_sim/state`, from this
machine only; see `faults.Mode`.
"""
