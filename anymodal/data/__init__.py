"""Data sets of conversations: schemas, files, mixtures."""
