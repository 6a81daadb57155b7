"""The rows, a theme a file: each has `measure(bench)`, which returns the theme's rows."""

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
