"""Input only, with full augmentation, on one core and on all cores."""

from __future__ import annotations

import os
from collections.abc import Iterator

from benchmarks.bench import Bench
from benchmarks.results import Row, make_row

ROUNDS = 5
GOAL, GENERATOR, GENERATOR_GOAL = 10_000.0, "ImageDataGenerator", 20.0


def measure(bench: Bench) -> Iterator[Row]:
    """Measures the two rows."""
    yield _measure(bench, "one core", (0,))
    yield _measure(bench, "all cores", None)


def _measure(bench: Bench, where: str, cpus: tuple[int, ...] | None) -> Row:
    row, folders = f"input, {where}", bench.scratch.folders
    subjects = [
        bench.subject("ours", "ours.batches", bench.scratch.project("train"), cpus=cpus),
        bench.subject(GENERATOR, "peers.image_data_generator", folders, cpus=cpus),
        bench.subject("tf.data and Keras layers", "peers.keras_input", folders, cpus=cpus),
        bench.subject("PyTorch DataLoader", "peers.pytorch_loader", folders, theirs=True, cpus=cpus),
    ]
    series = bench.take_turns(row, subjects, ROUNDS)
    ours = series.pop("ours")
    return make_row(
        row,
        "input",
        ours["images_per_second"],
        unit="images/s",
        goal=GOAL * (1 if cpus else os.cpu_count() or 1),
        peers={name: peer.missing or peer["images_per_second"] for name, peer in series.items()},
        peer_goals={GENERATOR: GENERATOR_GOAL},
        details={"target": 2 * GOAL if cpus else None, "failed": ours.missing},
    )
