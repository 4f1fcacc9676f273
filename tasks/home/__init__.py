"""What a home does with its runs: relay and reconcile, over one small store interface."""
