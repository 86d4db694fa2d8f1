"""The record of a run in its folder: history, environment, configuration, and a page of them."""
