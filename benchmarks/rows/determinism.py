"""Cost of bit-for-bit repeatability: the same training with and without `training.deterministic`."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.bench import Bench
from benchmarks.results import Row, make_row

ROUNDS = 5


def measure(bench: Bench) -> Iterator[Row]:
    """Measures vgg with its input."""
    series = bench.take_turns(
        "determinism",
        [
            bench.subject(str(flag), "ours.steps", bench.scratch.project(name, deterministic=flag), "vgg", "full")
            for flag, name in ((True, "deterministic"), (False, "not-deterministic"))
        ],
        ROUNDS,
    )
    with_it, without = series["True"], series["False"]
    failed = with_it.missing or without.missing
    pairs = [] if failed else zip(with_it["images_per_second"], without["images_per_second"], strict=True)
    yield make_row(
        "deterministic training, vgg",
        "determinism",
        [100 * a / b for a, b in pairs],
        unit="% of the speed without",
        goal=None,
        details={
            "images_per_second": {one.name: one["images_per_second"] for one in series.values()},
            "failed": failed,
        },
    )
