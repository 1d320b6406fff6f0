"""Fixtures of these tests."""

from board import made  # noqa: F401
