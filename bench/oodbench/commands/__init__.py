"""Verbs of the command line that have a file of their own: their options, and what they call."""
