"""How long the fleet stands still when the broker's master goes, and what that costs."""
