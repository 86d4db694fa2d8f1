"""Wild inputs by the thousand, the same for the same seed: `python -m tests.fuzz`."""
