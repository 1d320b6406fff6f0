"""Handing a method in: a file to start from, and a bundle of its source, records and scores to send. Needs no torch."""
