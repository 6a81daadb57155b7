"""The dataset: fetched, looked at, written to TFRecord shards, decoded."""
