"""Evaluations: predictors, their replies to samples, and results."""
