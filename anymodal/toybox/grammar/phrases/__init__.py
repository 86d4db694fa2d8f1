"""The templates and words that the grammar fills in, as constants."""
