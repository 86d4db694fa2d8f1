"""Serving: an engine that answers many requests at once, and an HTTP server over it."""
