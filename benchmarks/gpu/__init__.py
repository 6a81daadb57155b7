"""Checks and measurements of the training on a GPU: `python -m benchmarks.gpu`."""
