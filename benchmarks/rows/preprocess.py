"""Preprocessing of the whole archive to checked, hashed shards."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.bench import Bench
from benchmarks.results import Row, make_row
from benchmarks.subjects import ROOT

ROUNDS = 3
GOAL_SECONDS = 20.0


def measure(bench: Bench) -> Iterator[Row]:
    """Measures ours on the whole archive, and the peers on images in folders, scaled to the same number."""
    scratch = bench.scratch
    folder = scratch.folder
    subjects = [
        bench.subject("ours", "ours.preprocess", scratch.archive, ROOT / "params.yaml", folder),
        bench.subject("TensorFlow's guide", "peers.tfrecord_guide", scratch.folders, folder, "decode"),
        bench.subject("TensorFlow's guide, nothing decoded", "peers.tfrecord_guide", scratch.folders, folder, "copy"),
        bench.subject("tensorflow-datasets", "peers.tfds_build", scratch.folders, folder, theirs=True),
    ]
    series = bench.take_turns("preprocess", subjects, ROUNDS)
    ours = series.pop("ours")
    images = ours.rounds[0]["images"] if ours.rounds else 0
    seconds = {
        name: peer.missing or [images / rate for rate in peer["images_per_second"]] for name, peer in series.items()
    }
    yield make_row(
        "preprocess",
        "preprocess",
        ours["seconds"],
        unit="s",
        goal=GOAL_SECONDS,
        better="lower",
        peers=seconds,
        details={
            "images": images,
            "seconds_for_110000_images": [110_000 / rate for rate in ours["images_per_second"]],
            "peers": "on 20,000 images already unpacked to folders, scaled to the number of ours",
            "failed": ours.missing,
        },
    )
