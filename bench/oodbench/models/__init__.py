"""Models: the one training loop, checkpoints, and the views that a trained network shows."""
