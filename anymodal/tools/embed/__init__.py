"""Embeddings of files: found, read, encoded in batches, and kept so that a stopped run goes on."""
