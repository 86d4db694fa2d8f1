"""Encoders of Hugging Face transformers behind one class."""
