"""A server whose language models and decoders run in many processes of a Ray cluster."""
