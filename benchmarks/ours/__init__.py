"""Ours: the pipeline's own code, served as subjects."""
