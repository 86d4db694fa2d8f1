"""Measuring models: what they make and say, judged attribute by attribute."""
