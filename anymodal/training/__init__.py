"""Staged training: a stage is data, one LightningModule runs them all."""
