"""How well a tokenizer rebuilds images."""
