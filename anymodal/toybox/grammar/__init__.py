"""The Toybox's language: templates, captions, and conversations whose answers are known."""
