"""The end of a training, from its curves: val loss still falling, at rest, or rising while the train loss falls."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tiny_imagenet.report.results import Epoch
from tiny_imagenet.report.significance import NUM_STANDARD_ERRORS

MIN_EPOCHS = 8  # fewer are not judged
MIN_WINDOW, WINDOW_FRACTION = 4, 5  # the trend is that of the last fifth of the epochs, at least of four

Verdict = Literal["too few epochs", "still learning", "finished", "overfitting"]


@dataclass(frozen=True)
class Convergence:
    """The end of a training; losses are cross-entropies without the L2 term.

    Attributes:
        verdict: "still learning": the val loss falls significantly. "overfitting": its mean over the window is
            significantly above the lowest such mean, while the train loss fell. "finished": neither.
        epochs: Number of all epochs.
        window: Number of the last epochs that the trend is of.
        change: Of the val loss over the window, by a least-squares line.
        change_error: Standard error of `change`.
        best: The epoch with the lowest val loss.
        last: The last epoch.
    """

    verdict: Verdict
    epochs: int
    window: int
    change: float
    change_error: float
    best: Epoch
    last: Epoch

    @property
    def gap(self) -> float:
        """Train less val top-1 accuracy at the end, as a fraction."""
        return self.last.top_1_accuracy - self.last.val_top_1_accuracy


def assess(history: Sequence[Epoch]) -> Convergence:
    """Returns the state in which a training ended."""
    val = [epoch.val_loss for epoch in history]
    window = min(len(val), max(MIN_WINDOW, math.ceil(len(val) / WINDOW_FRACTION)))
    change, error = trend(val[-window:])
    best, last = history[int(np.argmin(val))], history[-1]
    verdict: Verdict = "finished"
    if len(val) < MIN_EPOCHS:
        verdict = "too few epochs"
    elif change < -NUM_STANDARD_ERRORS * error:
        verdict = "still learning"
    elif _rose(val, window, error) and last.loss < best.loss:
        verdict = "overfitting"
    return Convergence(verdict, len(val), window, change, error, best, last)


def _rose(val: Sequence[float], window: int, change_error: float) -> bool:
    """Returns whether the last mean over a window is above the lowest: of single epochs the lowest is low by chance."""
    means = np.convolve(val, np.full(window, 1 / window), "valid")
    return bool(means[-1] - means.min() > NUM_STANDARD_ERRORS * _residual_deviation(change_error, window))


def trend(values: Sequence[float]) -> tuple[float, float]:
    """Returns the change from first to last value along their least-squares line, and its standard error.

    The error of one or two values is 0.
    """
    count = len(values)
    if count < 2:
        return 0.0, 0.0
    x = np.arange(count) - (count - 1) / 2
    y = np.asarray(values, np.float64)
    slope = float(x @ y / (x @ x))
    residual = y - y.mean() - slope * x
    error = math.sqrt(float(residual @ residual) / max(1, count - 2) / float(x @ x))
    return slope * (count - 1), error * (count - 1)


def _residual_deviation(change_error: float, window: int) -> float:
    """Returns the standard deviation of single epochs about the line, from the standard error of the line's change."""
    x = np.arange(window) - (window - 1) / 2
    return change_error * math.sqrt(float(x @ x)) / (window - 1)
