"""Whether one model is better than another, or only luckier: differences of accuracies with their standard errors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from tiny_imagenet.report.mistakes import Predictions, correct
from tiny_imagenet.report.results import Result

CLEAR = 2.0  # standard errors: chance alone makes one in twenty-two differences as large


@dataclass(frozen=True)
class Difference:
    """The first model's top-1 accuracy less the second's, in fractions, with its standard error.

    Paired: from the images that one of the two gets right and the other not, which is sharper than from two accuracies.
    """

    first: str
    second: str
    value: float
    standard_error: float
    paired: bool

    @property
    def is_clear(self) -> bool:
        """Whether it is larger than `CLEAR` standard errors."""
        return abs(self.value) > CLEAR * self.standard_error


def paired_difference(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """Returns the mean of first less second, and its standard error.

    Args:
        first: Whether one model is right about each image, bool (N,).
        second: The same of another, about the same images.
    """
    each = first.astype(np.float64) - second
    return float(each.mean()), float(each.std(ddof=1) / math.sqrt(len(each)))


def difference(first: Result, second: Result, predictions: Mapping[str, Predictions]) -> Difference:
    """Compares two models; image by image where both have predictions of the same images.

    Args:
        first: The one to come first.
        second: The other.
        predictions: By model.
    """
    both = [predictions.get(result.model) for result in (first, second)]
    if both[0] and both[1] and np.array_equal(both[0]["label"], both[1]["label"]):
        value, error = paired_difference(correct(both[0]), correct(both[1]))
        return Difference(first.model, second.model, value, error, paired=True)
    value = first.evaluation["top_1_accuracy"] - second.evaluation["top_1_accuracy"]
    error = math.hypot(first.standard_error("top_1_accuracy"), second.standard_error("top_1_accuracy"))
    return Difference(first.model, second.model, value, error, paired=False)


def ladder(results: Sequence[Result], predictions: Mapping[str, Predictions]) -> list[Difference]:
    """Returns what each model has over the next in rank, by top-1 accuracy, the best first."""
    ranked = sorted(results, key=lambda result: -result.evaluation["top_1_accuracy"])
    return [difference(better, worse, predictions) for better, worse in pairwise(ranked)]
