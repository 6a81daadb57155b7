"""Train and compare image classifiers on Tiny ImageNet."""
