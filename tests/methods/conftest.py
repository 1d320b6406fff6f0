"""Fixtures of these tests."""

from lab import gradient, killed_and_resumed, lab, lab32  # noqa: F401
