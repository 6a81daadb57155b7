"""Image augmentation by batches (batch, height, width, 3), float32, 0 to 255."""
