"""Memory planning: the peak of a model or a training run, without loading a weight."""
