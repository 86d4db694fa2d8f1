"""The Toybox: a synthetic world of scenes in five modalities, and oracles that read them."""
