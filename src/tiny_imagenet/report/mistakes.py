"""What a model takes for what: the confusion matrix, its pairs, and the mistakes it is surest of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tiny_imagenet.evaluation.metrics import confusion_matrix

Predictions = Mapping[str, np.ndarray]  # `label` (N,), `top_5` (N, k) and `top_5_probability` (N, k), best first


@dataclass(frozen=True)
class Mistake:
    """An image's place in its split, its label, and the guess with its probability (0 to 1)."""

    position: int
    actual: int
    guess: int
    probability: float


@dataclass(frozen=True)
class Pair:
    """Two classes taken for each other: how often each is taken for the other, of how many images of both."""

    first: int
    second: int
    first_as_second: int
    second_as_first: int
    num_images: int
    mistakes: tuple[Mistake, ...]  # the surest one of each direction that occurs

    @property
    def count(self) -> int:
        """How often either is taken for the other."""
        return self.first_as_second + self.second_as_first


def correct(predictions: Predictions) -> np.ndarray:
    """Returns whether each image's first guess is right, bool (N,)."""
    return np.asarray(predictions["top_5"][:, 0] == predictions["label"])


def confident_mistakes(predictions: Predictions, count: int) -> list[Mistake]:
    """Returns the wrong first guesses with the highest probabilities, at most so many, the surest first."""
    wrong = np.flatnonzero(~correct(predictions))
    order = np.argsort(-predictions["top_5_probability"][wrong, 0], kind="stable")[:count]
    return [_mistake(predictions, int(position)) for position in wrong[order]]


def confused_pairs(predictions: Predictions, num_classes: int, count: int) -> list[Pair]:
    """Returns the pairs of classes most often taken for each other, at most so many, the worst first."""
    matrix = confusion_matrix(predictions["label"], predictions["top_5"][:, 0], num_classes)
    both = np.triu(matrix + matrix.T, 1)
    worst = np.argsort(-both, axis=None, kind="stable")[:count]
    firsts, seconds = np.unravel_index(worst, both.shape)
    return [
        _pair(predictions, matrix, int(first), int(second))
        for first, second in zip(firsts, seconds, strict=True)
        if both[first, second]
    ]


def _pair(predictions: Predictions, matrix: np.ndarray, first: int, second: int) -> Pair:
    found = [_surest(predictions, first, second), _surest(predictions, second, first)]
    return Pair(
        first=first,
        second=second,
        first_as_second=int(matrix[first, second]),
        second_as_first=int(matrix[second, first]),
        num_images=int(matrix[first].sum() + matrix[second].sum()),
        mistakes=tuple(mistake for mistake in found if mistake),
    )


def _surest(predictions: Predictions, actual: int, guess: int) -> Mistake | None:
    places = np.flatnonzero((predictions["label"] == actual) & (predictions["top_5"][:, 0] == guess))
    if not len(places):
        return None
    return _mistake(predictions, int(places[predictions["top_5_probability"][places, 0].argmax()]))


def _mistake(predictions: Predictions, position: int) -> Mistake:
    return Mistake(
        position=position,
        actual=int(predictions["label"][position]),
        guess=int(predictions["top_5"][position, 0]),
        probability=float(predictions["top_5_probability"][position, 0]),
    )
