"""Oracles: a scene's attributes, read off media and texts by measurement."""
