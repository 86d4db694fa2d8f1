"""Files: atomic writes, checkpoints, the hub, licences, the tensor store."""
