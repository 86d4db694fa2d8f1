"""Import of published checkpoints into folders that a configuration can name."""
