"""The Toybox: scenes as words, pictures, sounds and movements, and oracles that read them."""
