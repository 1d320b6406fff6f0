"""Fixtures of these tests."""

from pictures_net import clean, net  # noqa: F401
