"""Speakers: a text and a voice in, a medium out."""
