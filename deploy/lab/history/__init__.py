"""The history checker: was anything lost, done twice, or done without permission?

It reads only what independent witnesses wrote: producers (`accepted.jsonl`), effects
(`effects.jsonl`), a log of leases (`lease.jsonl`), a log of when a site was cut off
(`alone.jsonl`), and writers that knock at every Redis (`acks.jsonl`). It never asks the fleet
what the fleet believes.
"""
