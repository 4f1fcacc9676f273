"""All agents of three sites on one virtual clock, over a network that is made up from a seed.

What decides is the fleet's own code: `fleet.policy` and `probes.watch.state`. What carries it in
production (database, HTTP, sockets, threads) is replaced by the small mirrors in this package;
each names the module whose order of steps it follows.
"""
