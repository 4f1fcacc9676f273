"""Stand-ins for devices that the lab does not have. They speak the devices' protocols.

A simulator says in its numbers that it is one: models and names carry the word. Its numbers
move with time; `POST /_sim/errors` switches a fault on, `GET /_sim/state` shows it.
"""
