"""The rows, one module per theme: its `measure(bench)` returns the rows of the theme."""

from benchmarks.rows import determinism, epoch, input_alone, memory, preprocess, start, step

THEMES = {
    "step": step,
    "epoch": epoch,
    "input": input_alone,
    "preprocess": preprocess,
    "start": start,
    "memory": memory,
    "determinism": determinism,
}
