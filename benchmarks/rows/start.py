"""Time from the start of stage train to the end of its first step, with decoded images in the cache."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.bench import Bench
from benchmarks.results import Row, make_row

ROUNDS = 5
GOAL_SECONDS = 10.0


def measure(bench: Bench) -> Iterator[Row]:
    """Measures vgg, after one start that does not count: it creates the cache and the MLflow store."""
    subject = bench.subject("ours", "ours.start", bench.scratch.project("start"), "vgg", fresh=True)
    ours = bench.take_turns("start", [subject], ROUNDS, first=1)["ours"]
    yield make_row(
        "start to first step",
        "start",
        ours["seconds"],
        unit="s, less TensorFlow's import",
        goal=GOAL_SECONDS,
        better="lower",
        details={
            "total_seconds": ours["total_seconds"],
            "tensorflow_import_seconds": ours["tensorflow_import_seconds"],
            "failed": ours.missing,
        },
    )
