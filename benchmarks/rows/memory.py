"""The peak memory of stage train, without the decoded images themselves."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.bench import Bench
from benchmarks.results import Row, make_row

ROUNDS = 2
GOAL_GB = 1.0
STREAMING_GB = 0.25


def measure(bench: Bench) -> Iterator[Row]:
    """Measures vgg with the images in memory, and with images read from disk."""
    yield _measure(bench, "memory, images held", bench.scratch.project("memory"), counted=True)
    streaming = bench.scratch.project("streaming", memory_gb=STREAMING_GB)
    yield _measure(bench, "memory, images from disk", streaming, counted=False)


def _measure(bench: Bench, row: str, project: object, *, counted: bool) -> Row:
    subject = bench.subject("ours", "ours.memory", project, "vgg", fresh=True)
    ours = bench.take_turns(row, [subject], ROUNDS)["ours"]
    return make_row(
        row,
        "memory",
        ours["more_gb" if counted else "anonymous_gb"],
        unit="GB more than the decoded images" if counted else "GB that no file backs",
        goal=GOAL_GB if counted else None,
        better="lower",
        details={
            "peak_gb": ours["peak_gb"],
            "anonymous_gb": ours["anonymous_gb"],
            "decoded_gb": ours["decoded_gb"],
            "counted": "resident: with TensorFlow's libraries and every page of the decoded images; anonymous: without",
            "failed": ours.missing,
        },
    )
