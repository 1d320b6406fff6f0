"""A detector of classifier failures, for oodbench."""
