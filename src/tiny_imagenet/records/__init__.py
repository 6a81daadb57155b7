"""The archive's images as checked TFRecord shards."""
