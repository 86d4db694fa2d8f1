"""Adapters of diffusers pipelines by class: how captions condition, how the denoiser is called."""
