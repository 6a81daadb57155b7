"""The bare training step: the same batch in each step, without input."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.bench import Bench
from benchmarks.results import Row, make_row
from benchmarks.rounds import Series

ROUNDS = 5
PRODUCT = "matrix product"
GOAL_PERCENT, TORCH, TORCH_GOAL = 80.0, "PyTorch", 1.25


def measure(bench: Bench) -> Iterator[Row]:
    """Measures the two CNNs."""
    yield from (_measure(bench, model) for model in ("vgg", "simple_cnn"))


def _measure(bench: Bench, model: str) -> Row:
    row = f"training step, {model}"
    ceiling = bench.subject(PRODUCT, "peers.matrix_product")
    subjects = [
        ceiling,
        bench.subject("ours", "ours.steps", bench.scratch.project("train"), model, "bare"),
        ceiling,
        bench.subject("Keras fit", "peers.keras_fit", model, "auto"),
        bench.subject("Keras fit, jit_compile=False", "peers.keras_fit", model, "off"),
        bench.subject(TORCH, "peers.pytorch_step", model, theirs=True),
    ]
    series = bench.take_turns(row, subjects, ROUNDS)
    product, ours = series.pop(PRODUCT), series.pop("ours")
    flops = ours.about.get("train_flops_per_image", 0)
    shares = {name: _shares(peer, flops, product) for name, peer in series.items()}
    mine = _shares(ours, flops, product)
    return make_row(
        row,
        "step",
        mine if isinstance(mine, list) else [],
        unit="% of the matrix product's rate",
        goal=GOAL_PERCENT,
        peers=shares,
        peer_goals={TORCH: TORCH_GOAL},
        details={
            **ours.about,
            "matrix_product_gflop_per_second": product["gflop_per_second"],
            "images_per_second": {one.name: one["images_per_second"] for one in (ours, *series.values())},
            "failed": ours.missing or product.missing,
        },
    )


def _shares(one: Series, flops: float, product: Series) -> list[float] | str:
    if one.missing or product.missing:
        return one.missing or f"no matrix product: {product.missing}"
    before, after = product["gflop_per_second"][::2], product["gflop_per_second"][1::2]
    ceilings = map(max, before, after)  # the higher of the two, since a disturbed measurement would be too low
    pairs = zip(one["images_per_second"], ceilings, strict=True)
    return [100 * rate * flops / 1e9 / ceiling for rate, ceiling in pairs]
