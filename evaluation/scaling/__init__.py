"""How the loss falls with the model's size and with training."""
