"""The standby machine: an agent and a worker that live and end together.

`python -m probes.standby` is all that runs on it. The machine is started, suspended and stopped
by the control plane; whether its worker may take work is another question, asked by the worker.
"""
