"""Metric maths: Fréchet distance, reconstruction quality, use of the bits."""
