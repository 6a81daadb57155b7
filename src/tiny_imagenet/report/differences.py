"""Differences of top-1 accuracy between models, with their standard errors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from tiny_imagenet.report.predictions import Predictions
from tiny_imagenet.report.results import Result
from tiny_imagenet.report.significance import is_clear
from tiny_imagenet.scoring.metrics import TOP_1


@dataclass(frozen=True)
class Difference:
    """The first model's top-1 accuracy less the second's.

    Attributes:
        first: The name of the first model.
        second: The name of the second.
        value: As a fraction.
        standard_error: As a fraction.
        paired: Whether the error is that of the differences image by image, which is smaller than that of two samples.
    """

    first: str
    second: str
    value: float
    standard_error: float
    paired: bool

    @property
    def is_clear(self) -> bool:
        """Whether the difference is significant."""
        return is_clear(self.value, self.standard_error)


def paired_difference(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """Returns the mean of first less second, and its standard error.

    Args:
        first: Whether a model is right about each image, bool (images,).
        second: The same of another model, about the same images.
    """
    each = first.astype(np.float64) - second
    return float(each.mean()), float(each.std(ddof=1) / math.sqrt(len(each)))


def difference(first: Result, second: Result, predictions: Mapping[str, Predictions]) -> Difference:
    """Compares two models: image by image where both have predictions of the same images, else as two samples.

    Args:
        first: The results of one.
        second: The results of the other.
        predictions: By model.
    """
    one, two = (predictions.get(result.model) for result in (first, second))
    if one and two and one.has_labels_of(two):
        value, error = paired_difference(one.is_correct, two.is_correct)
        return Difference(first.model, second.model, value, error, paired=True)
    value = first.value(TOP_1) - second.value(TOP_1)
    error = math.hypot(first.standard_error(TOP_1), second.standard_error(TOP_1))
    return Difference(first.model, second.model, value, error, paired=False)


def rank(results: Sequence[Result], predictions: Mapping[str, Predictions]) -> list[Difference]:
    """Returns the difference between each model and the next by top-1 accuracy, the best model first."""
    ranked = sorted(results, key=lambda result: -result.value(TOP_1))
    return [difference(better, worse, predictions) for better, worse in pairwise(ranked)]
