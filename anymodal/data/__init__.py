"""What models learn from: data sets, tokenizers, and the synthetic world they come from."""
