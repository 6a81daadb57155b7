"""Splits, image checks, TFRecord shards, the data report."""
