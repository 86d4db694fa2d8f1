"""Tools around models: memory planning, embeddings, import of published checkpoints."""
