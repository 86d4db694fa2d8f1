"""Validation during a run: held-out losses, replies to fixed questions, the best checkpoint."""
