"""Scenarios: a fleet under load is broken and mended, and witnesses write what happened.

`turtle lab scenario list` shows them, each with its name and its sentence.
"""
