"""Detectors that several papers use, each on a subject of its own: what files of `methods` share and none owns."""
