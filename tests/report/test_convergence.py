"""Verdicts on curves of known shape."""

from __future__ import annotations

import numpy as np
import pytest

from tiny_imagenet.report.convergence import assess, trend
from tiny_imagenet.report.results import Epoch

NOISE = np.random.default_rng(0).normal(0, 0.005, 40)


def history(val: np.ndarray, train: np.ndarray) -> list[Epoch]:
    constant = {"lr": 0.1, "objective": 9.0, "val_objective": 9.0, "top_5_accuracy": 0.9, "val_top_5_accuracy": 0.9}
    return [
        Epoch(epoch=epoch, val_loss=v, loss=t, top_1_accuracy=0.5, val_top_1_accuracy=0.4, **constant)
        for epoch, (v, t) in enumerate(zip(val.tolist(), train.tolist(), strict=True), start=1)
    ]


def test_the_trend_of_a_line_is_its_rise_without_error() -> None:
    change, error = trend([1.0, 2.0, 3.0, 4.0])
    assert change == pytest.approx(3.0)
    assert error == pytest.approx(0.0)


def test_trend_has_the_standard_error_of_least_squares() -> None:
    x, y = np.arange(8.0), np.array([3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0])
    (slope, _), covariance = np.polyfit(x, y, 1, cov=True)
    assert trend(y.tolist()) == pytest.approx((7 * slope, 7 * covariance[0, 0] ** 0.5))


@pytest.mark.parametrize("values", [[], [1.0]])
def test_the_trend_of_less_than_two_values_is_zero(values: list[float]) -> None:
    assert trend(values) == (0.0, 0.0)


def test_a_falling_loss_is_still_learning() -> None:
    falling = np.linspace(5, 3, 40) + NOISE
    found = assess(history(falling, falling))
    assert (found.verdict, found.window, found.epochs) == ("still learning", 8, 40)
    assert found.change == pytest.approx(-2 * 7 / 39, abs=0.02)
    assert found.gap == pytest.approx(0.1)


def test_a_loss_at_rest_is_finished() -> None:
    flat = np.maximum(np.linspace(5, 1, 40), 3.0) + NOISE
    assert assess(history(flat, flat)).verdict == "finished"


def test_a_loss_that_rose_while_the_train_loss_fell_is_overfitting() -> None:
    turning = np.abs(np.linspace(-1, 1, 40)) + 3 + NOISE
    found = assess(history(turning, np.linspace(5, 1, 40)))
    assert found.verdict == "overfitting"
    assert found.best.epoch in range(18, 24)
    assert found.last.val_loss > found.best.val_loss
    assert found.last.loss < found.best.loss
    rising_too = assess(history(turning, turning))
    assert rising_too.verdict == "finished"


@pytest.mark.parametrize("seed", range(20))
def test_noise_about_a_plateau_is_not_overfitting(seed: int) -> None:
    flat = np.random.default_rng(seed).normal(3, 0.02, 40)
    assert assess(history(flat, np.linspace(5, 1, 40))).verdict != "overfitting"


def test_few_epochs_are_not_judged() -> None:
    assert assess(history(np.array([5.0]), np.array([5.0]))).verdict == "too few epochs"
    assert assess(history(np.linspace(5, 3, 7), np.linspace(5, 3, 7))).verdict == "too few epochs"
