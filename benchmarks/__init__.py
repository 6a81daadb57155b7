"""Speed and memory of the pipeline and its peers, measured in one run: `python -m benchmarks`."""
