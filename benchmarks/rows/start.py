"""From the start of stage train to the end of its first step, the images decoded before."""

from __future__ import annotations

from benchmarks.bench import Bench
from benchmarks.results import Row, make_row

ROUNDS = 5
GOAL_SECONDS = 10.0


def measure(bench: Bench) -> list[Row]:
    """Measures vgg, after one start that is not counted (it makes the cache and the MLflow store)."""
    subject = bench.subject("ours", "ours.start", bench.scratch.project("start"), "vgg", fresh=True)
    ours = bench.take_turns("start", [subject], (bench.rounds or ROUNDS) + 1)["ours"]
    counted = ours.rounds[1:]
    row = make_row(
        "start to first step",
        "start",
        [figures["seconds"] for figures in counted],
        unit="s, less TensorFlow's import",
        goal=GOAL_SECONDS,
        better="lower",
        details={
            "total_seconds": [figures["total_seconds"] for figures in counted],
            "tensorflow_import_seconds": [figures["tensorflow_import_seconds"] for figures in counted],
            "failed": ours.missing,
        },
    )
    return [row]
