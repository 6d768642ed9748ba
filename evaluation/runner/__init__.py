"""``python -m evaluation run --tasks ..``: draw the images that tasks ask for, score them, and say it all."""
