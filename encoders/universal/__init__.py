"""One CLIP trunk behind light tokenizers of any modality (OneLLM, Han et al. 2023)."""
