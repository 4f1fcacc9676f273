"""Decisions: values and `now` in, a decision and its reason out. Nothing here does I/O."""
