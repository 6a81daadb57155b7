"""The Pareto front of accuracy and training compute, and the cheapest model above a published accuracy."""

from __future__ import annotations

from collections.abc import Sequence

from tiny_imagenet.report.results import Result
from tiny_imagenet.report.significance import lower_bound
from tiny_imagenet.scoring.metrics import TOP_1


def pareto_front(results: Sequence[Result]) -> list[Result]:
    """Returns the models that no other is both cheaper and more accurate than, the cheapest first."""
    kept = [result for result in results if not any(_dominates(other, result) for other in results)]
    return sorted(kept, key=_flops)


def cheapest_above(results: Sequence[Result], accuracy: float) -> Result | None:
    """Returns the cheapest model whose top-1 accuracy is significantly above a value, None if there is none."""
    above = [result for result in results if lower_bound(result.value(TOP_1), result.standard_error(TOP_1)) > accuracy]
    return min(above, key=_flops, default=None)


def _dominates(first: Result, second: Result) -> bool:
    return first.value(TOP_1) > second.value(TOP_1) and _flops(first) <= _flops(second)


def _flops(result: Result) -> int:
    return result.training.train_flops
