"""What the curves of a training say: still learning, done, or learning by heart."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

LEAST = 8  # epochs: fewer say nothing
SHARE = 5  # the trend is that of the last fifth of the epochs, of four at least
CLEAR = 2.0  # standard errors

History = Sequence[Mapping[str, float]]
Verdict = Literal["too few epochs", "still learning", "finished", "overfitting"]


@dataclass(frozen=True)
class Learning:
    """How a training ended; losses are cross-entropies without the L2 term.

    Attributes:
        verdict: "still learning": the val loss clearly falls. "overfitting": its mean over the window is clearly
            above the lowest such mean, while the train loss fell. "finished": neither.
        epochs: All.
        window: How many of the last ones the trend is of.
        change: Of the val loss over the window, by a straight line.
        change_error: Its standard error.
        lowest_epoch: Where the val loss was lowest.
        lowest: The val loss there.
        last: The val loss at the end.
        train_at_lowest: The train loss where the val loss was lowest.
        train_last: The train loss at the end.
        gap: Train less val top-1 accuracy at the end, as fraction.
    """

    verdict: Verdict
    epochs: int
    window: int
    change: float
    change_error: float
    lowest_epoch: int
    lowest: float
    last: float
    train_at_lowest: float
    train_last: float
    gap: float


def judge(history: History) -> Learning:
    """Judges a training by its rows of history.csv."""
    val, train = ([row[key] for row in history] for key in ("val_loss", "loss"))
    window = min(len(val), max(4, math.ceil(len(val) / SHARE)))
    change, error = trend(val[-window:])
    best = int(np.argmin(val))
    found: dict[str, Any] = {
        "epochs": len(val),
        "window": window,
        "change": change,
        "change_error": error,
        "lowest_epoch": int(history[best]["epoch"]),
        "lowest": val[best],
        "last": val[-1],
        "train_at_lowest": train[best],
        "train_last": train[-1],
        "gap": history[-1]["top_1_accuracy"] - history[-1]["val_top_1_accuracy"],
    }
    return Learning(verdict=_verdict(found, val), **found)


def _verdict(found: Mapping[str, Any], val: Sequence[float]) -> Verdict:
    if found["epochs"] < LEAST:
        return "too few epochs"
    if found["change"] < -CLEAR * found["change_error"]:
        return "still learning"
    # Means over a window, since the lowest of many noisy epochs is low by chance.
    means = np.convolve(val, np.full(found["window"], 1 / found["window"]), "valid")
    rose = means[-1] - means.min() > CLEAR * _scatter(found["change_error"], found["window"])
    return "overfitting" if rose and found["train_last"] < found["train_at_lowest"] else "finished"


def trend(values: Sequence[float]) -> tuple[float, float]:
    """Returns by how much values change from first to last along their least-squares line, and its standard error.

    The error is 0 of two values, which a line meets, and of one.
    """
    count = len(values)
    if count < 2:
        return 0.0, 0.0
    x = np.arange(count) - (count - 1) / 2
    y = np.asarray(values, np.float64)
    slope = float(x @ y / (x @ x))
    rest = y - y.mean() - slope * x
    error = math.sqrt(float(rest @ rest) / max(1, count - 2) / float(x @ x))
    return slope * (count - 1), error * (count - 1)


def _scatter(change_error: float, window: int) -> float:
    """Returns the standard deviation of single epochs about the line, from the standard error of the line's change."""
    x = np.arange(window) - (window - 1) / 2
    return change_error * math.sqrt(float(x @ x)) / (window - 1)
