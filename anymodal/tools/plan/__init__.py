"""What a model and its training need of memory, told without loading a weight."""
