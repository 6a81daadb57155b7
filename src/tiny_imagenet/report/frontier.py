"""Which models no other beats at both accuracy and training compute, and what the published accuracy costs today."""

from __future__ import annotations

from collections.abc import Sequence

from tiny_imagenet.report.results import Result

CLEAR = 2.0  # standard errors


def frontier(results: Sequence[Result]) -> list[Result]:
    """Returns the models that no other is both cheaper and more accurate than, the cheapest first."""
    kept = [result for result in results if not any(_beats(other, result) for other in results)]
    return sorted(kept, key=_flops)


def cheapest_above(results: Sequence[Result], accuracy: float) -> Result | None:
    """Returns the cheapest model whose top-1 accuracy is above one by more than `CLEAR` standard errors, if any is."""
    above = [result for result in results if _low(result) > accuracy]
    return min(above, key=_flops, default=None)


def published_accuracy(result: Result) -> float:
    """Returns the published top-1 accuracy beside a model's own; 0 where there is none."""
    return result.published["top_1_accuracy"] if result.published else 0.0


def _beats(first: Result, second: Result) -> bool:
    better = first.evaluation["top_1_accuracy"] > second.evaluation["top_1_accuracy"]
    return bool(better) and _flops(first) <= _flops(second)


def _flops(result: Result) -> float:
    return float(result.training["train_flops"])


def _low(result: Result) -> float:
    return float(result.evaluation["top_1_accuracy"] - CLEAR * result.standard_error("top_1_accuracy"))
