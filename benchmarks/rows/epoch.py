"""The steps of an epoch with input and full augmentation, relative to the bare step."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.bench import Bench
from benchmarks.results import Row, make_row

ROUNDS = 5
MODELS = ("vgg", "simple_cnn", "fully_connected", "logistic_regression")
GOAL_PERCENT, PEER, PEER_GOAL = 95.0, "Keras fit on folders", 3.0


def measure(bench: Bench) -> Iterator[Row]:
    """Measures all four models."""
    yield from (_measure(bench, model) for model in MODELS)


def _measure(bench: Bench, model: str) -> Row:
    row, project = f"epoch, {model}", bench.scratch.project("train")
    subjects = [
        bench.subject("bare", "ours.steps", project, model, "bare"),
        bench.subject("ours", "ours.steps", project, model, "full"),
        bench.subject(PEER, "peers.keras_folders", model, bench.scratch.folders),
    ]
    series = bench.take_turns(row, subjects, ROUNDS)
    bare, ours, peer = series["bare"], series["ours"], series[PEER]
    failed = bare.missing or ours.missing
    ceiling = [] if failed else bare["images_per_second"]
    shares = [
        [100 * rate / most for rate, most in zip(one["images_per_second"], ceiling, strict=False)]
        for one in (ours, peer)
    ]
    return make_row(
        row,
        "epoch",
        shares[0],
        unit="% of the bare step's rate",
        goal=GOAL_PERCENT,
        peers={PEER: peer.missing or shares[1]},
        peer_goals={PEER: PEER_GOAL},
        details={
            "images_per_second": {one.name: one["images_per_second"] for one in series.values()},
            "part": "the first steps of an epoch, for some seconds per round, without validation",
            "failed": failed,
        },
    )
