"""The mistakes of a model: the pairs of classes it confuses, and the mistakes it is most confident of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tiny_imagenet.evaluation.metrics import confusion_matrix
from tiny_imagenet.report.predictions import Predictions


@dataclass(frozen=True)
class Mistake:
    """A wrong guess.

    Attributes:
        position: The index of the image in its split.
        actual: The true class.
        guess: The guessed class.
        probability: Of the guess, 0 to 1.
    """

    position: int
    actual: int
    guess: int
    probability: float


@dataclass(frozen=True)
class Pair:
    """Two classes that are confused with each other.

    Attributes:
        first: A class.
        second: The other.
        first_as_second: Images of the first class taken for the second.
        second_as_first: Images of the second class taken for the first.
        num_images: Images of both classes.
        mistakes: The most confident mistake in each direction that occurs.
    """

    first: int
    second: int
    first_as_second: int
    second_as_first: int
    num_images: int
    mistakes: tuple[Mistake, ...]

    @property
    def count(self) -> int:
        """The confusions in both directions."""
        return self.first_as_second + self.second_as_first


def confident_mistakes(predictions: Predictions, count: int) -> list[Mistake]:
    """Returns at most `count` wrong guesses, those with the highest probabilities, the highest first."""
    wrong = np.flatnonzero(~predictions.is_correct)
    order = np.argsort(-predictions.top_5_probability[wrong, 0], kind="stable")[:count]
    return [_mistake(predictions, int(position)) for position in wrong[order]]


def confused_pairs(predictions: Predictions, num_classes: int, count: int) -> list[Pair]:
    """Returns at most `count` pairs of classes, those most often confused, the most frequent first."""
    matrix = confusion_matrix(predictions.label, predictions.guess, num_classes)
    both = np.triu(matrix + matrix.T, 1)
    most = np.argsort(-both, axis=None, kind="stable")[:count]
    firsts, seconds = np.unravel_index(most, both.shape)
    return [
        _pair(predictions, matrix, int(first), int(second))
        for first, second in zip(firsts, seconds, strict=True)
        if both[first, second]
    ]


def _pair(predictions: Predictions, matrix: np.ndarray, first: int, second: int) -> Pair:
    found = [_most_confident(predictions, first, second), _most_confident(predictions, second, first)]
    return Pair(
        first=first,
        second=second,
        first_as_second=int(matrix[first, second]),
        second_as_first=int(matrix[second, first]),
        num_images=int(matrix[first].sum() + matrix[second].sum()),
        mistakes=tuple(mistake for mistake in found if mistake),
    )


def _most_confident(predictions: Predictions, actual: int, guess: int) -> Mistake | None:
    positions = np.flatnonzero((predictions.label == actual) & (predictions.guess == guess))
    if not len(positions):
        return None
    return _mistake(predictions, int(positions[predictions.top_5_probability[positions, 0].argmax()]))


def _mistake(predictions: Predictions, position: int) -> Mistake:
    return Mistake(
        position=position,
        actual=int(predictions.label[position]),
        guess=int(predictions.guess[position]),
        probability=float(predictions.top_5_probability[position, 0]),
    )
