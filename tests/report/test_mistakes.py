"""Mistakes and confused pairs, counted by hand."""

from __future__ import annotations

import numpy as np

from tiny_imagenet.evaluation.metrics import confusion_matrix
from tiny_imagenet.report.mistakes import Mistake, confident_mistakes, confused_pairs
from tiny_imagenet.report.predictions import Predictions

PREDICTIONS = Predictions(
    label=np.array([0, 0, 0, 1, 1, 2]),
    top_5=np.array([[0, 1], [1, 0], [1, 0], [0, 1], [1, 0], [0, 1]]),
    top_5_probability=np.array([[0.9, 0.1], [0.5, 0.4], [0.8, 0.2], [0.6, 0.4], [0.7, 0.3], [0.95, 0.05]]),
)


def test_the_confusion_matrix_has_a_row_a_class_and_a_column_a_guess() -> None:
    expected = [[1, 2, 0], [1, 1, 0], [1, 0, 0]]
    assert confusion_matrix(PREDICTIONS.label, PREDICTIONS.guess, 3).tolist() == expected


def test_predictions_are_correct_by_the_first_or_by_any_guess() -> None:
    assert PREDICTIONS.is_correct.tolist() == [True, False, False, False, True, False]
    assert PREDICTIONS.is_in_top_5.tolist() == [True, True, True, True, True, False]


def test_confident_mistakes_are_wrong_and_in_the_order_of_probability() -> None:
    assert confident_mistakes(PREDICTIONS, 2) == [Mistake(5, 2, 0, 0.95), Mistake(2, 0, 1, 0.8)]
    assert len(confident_mistakes(PREDICTIONS, 99)) == 4


def test_a_pair_counts_both_directions_and_has_the_most_confident_mistake_of_each() -> None:
    worst, second = confused_pairs(PREDICTIONS, 3, 9)
    assert (worst.first, worst.second, worst.first_as_second, worst.second_as_first) == (0, 1, 2, 1)
    assert (worst.count, worst.num_images) == (3, 5)
    assert worst.mistakes == (Mistake(2, 0, 1, 0.8), Mistake(3, 1, 0, 0.6))
    assert (second.first, second.second, second.count) == (0, 2, 1)
    assert second.mistakes == (Mistake(5, 2, 0, 0.95),)
    assert confused_pairs(PREDICTIONS, 3, 1) == [worst]


def test_a_perfect_model_has_no_mistakes() -> None:
    perfect = Predictions(np.array([0, 1]), np.array([[0], [1]]), np.ones((2, 1)))
    assert confident_mistakes(perfect, 5) == confused_pairs(perfect, 2, 5) == []
