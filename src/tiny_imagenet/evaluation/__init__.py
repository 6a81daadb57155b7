"""Saved models, the metrics of an evaluation, and the challenge's submission."""
