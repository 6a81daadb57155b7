"""Time to import TensorFlow, and from the start of stage train to the end of its first step, with cached images."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.bench import Bench
from benchmarks.results import Row, make_row

ROUNDS = 5
GOAL_SECONDS = 10.0


def measure(bench: Bench) -> Iterator[Row]:
    """Measures the import, then vgg, each after one start that does not count: it fills the caches."""
    subjects = [bench.subject("ours", "imports", "ours"), bench.subject("plain import", "imports", "plain")]
    series = bench.take_turns("import", subjects, ROUNDS, first=1)
    yield make_row(
        "process that imports TensorFlow",
        "start",
        series["ours"]["seconds"],
        unit="s",
        goal=None,
        better="lower",
        peers={"plain import": series["plain import"].missing or series["plain import"]["seconds"]},
        details={"failed": series["ours"].missing},
    )
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
