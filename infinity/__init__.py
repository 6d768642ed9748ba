"""The pure PyTorch core of the Infinity suite: tokenizer, transformer, self-correction and sampler."""
