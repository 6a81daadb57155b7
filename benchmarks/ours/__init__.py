"""The subjects that run the pipeline's own code."""
