"""Scorers of one image against its prompt: CLIPScore, ImageReward, HPSv2.1, PickScore, aesthetics."""
