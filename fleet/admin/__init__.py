"""The admin: every model, with search and filters; runs are operated on, never edited."""

from fleet.admin import access, attempts, people, places, resilience, runs, schedules

__all__ = ["access", "attempts", "people", "places", "resilience", "runs", "schedules"]
