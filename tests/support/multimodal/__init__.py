"""Multimodal language models of the suites, by kinds of families."""
