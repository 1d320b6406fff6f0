"""Corruptions of pictures: the 15 types, and the 4 further ones, of Hendrycks & Dietterich 2019, at five severities.

Dan Hendrycks, Thomas Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and Perturbations",
2019.

One file a family; `oodbench.corruptions.registry` knows all by name.
"""
