"""Random changes to batches of images: (batch, height, width, 3), float32, 0 to 255."""
