"""Models: the one training loop, checkpoints, and the outputs of a trained network."""
