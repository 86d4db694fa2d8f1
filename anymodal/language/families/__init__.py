"""Multimodal language models, each family's own way to read media; `table.py` has them by type."""
