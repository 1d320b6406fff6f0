"""Detectors that several papers use, each on a model of its own: what files of `methods` share and none owns."""
