"""How likely a model finds the bits of held-out images."""
