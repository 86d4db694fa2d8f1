"""Preference pairs from a model's own replies: `anymodal data pairs`."""
