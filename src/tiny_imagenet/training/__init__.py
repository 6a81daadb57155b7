"""Training: the batch source, the train step, optimizers, the loop, checkpoints and results."""
