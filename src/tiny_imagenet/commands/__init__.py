"""What the commands beside the pipeline share."""
