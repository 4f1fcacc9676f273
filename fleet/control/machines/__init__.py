"""fly Machines: a small interface, and the client that speaks the Machines API.

The lab's server (`deploy.lab.simulators.fly`) answers the same calls, so one client serves both.
"""
