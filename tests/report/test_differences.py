"""Differences of accuracies and their standard errors."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from tests.support.synthetic_page import load_results, predict, reverse

from tiny_imagenet.report.differences import Difference, difference, paired_difference, rank


def test_the_error_of_a_paired_difference_comes_from_the_discordant_images() -> None:
    first = np.array([1] * 60 + [0] * 40, bool)
    second = np.array([1] * 50 + [0] * 10 + [1] * 4 + [0] * 36, bool)
    value, error = paired_difference(first, second)
    assert value == pytest.approx(0.06)
    # McNemar: (b + c - (b - c)^2 / n) / n / (n - 1), with b = 10 and c = 4
    assert error == pytest.approx(math.sqrt((14 - 6**2 / 100) / 100 / 99))


def test_models_with_the_same_correct_images_do_not_differ() -> None:
    same = np.array([1, 0, 1], bool)
    assert paired_difference(same, same) == (0.0, 0.0)
    assert not Difference("a", "b", 0.0, 0.0, paired=True).is_clear


def test_the_ranking_starts_with_the_best(tmp_path: Path) -> None:
    results = load_results(tmp_path)
    predictions = {"small": predict(2), "vgg": predict(5), "large": predict(8)}
    steps = rank(results, predictions)
    assert [(step.first, step.second, step.paired) for step in steps] == [
        ("large", "vgg", True),
        ("vgg", "small", True),
    ]
    assert [step.value for step in steps] == pytest.approx([0.3, 0.3])
    assert all(step.is_clear for step in steps)
    assert rank(results[:1], predictions) == []


def test_other_images_are_compared_as_two_samples(tmp_path: Path) -> None:
    small, vgg, _ = load_results(tmp_path)
    found = difference(vgg, small, {"vgg": reverse(predict(5)), "small": predict(2)})
    assert not found.paired
    assert found.value == pytest.approx(0.15)
    assert found.standard_error == pytest.approx(math.sqrt((0.25 * 0.75 + 0.1 * 0.9) / 120))
