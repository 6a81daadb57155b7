"""Metrics of an evaluation: those of training and more, predictions, calibration, and accuracy by class.

A metric that is added to `EVALUATION_METRICS` makes no training stale.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tiny_imagenet.dataset.classes import Class
from tiny_imagenet.scoring.metrics import STEP_METRICS, TOP_K, Metric, log_softmax, score, top_k, true_class_rank

OBJECTIVE = Metric("objective", "objective", "total loss (with the L2 term)")
ECE = Metric("ece", "ECE", "expected calibration error", is_fraction=True)
EVALUATION_METRICS = (OBJECTIVE, ECE)  # computed by the stage evaluate alone; any `top_k_accuracy(k)` can be added
METRICS = (*STEP_METRICS, *EVALUATION_METRICS)


def evaluate(logits: np.ndarray, labels: np.ndarray, regularization_loss: float, bins: int) -> dict[str, float]:
    """Returns METRICS over all images, by key.

    Args:
        logits: float (images, classes).
        labels: int (images,).
        regularization_loss: The L2 term of the model.
        bins: Number of bins of the calibration error.
    """
    scores = score(logits, labels)
    rank = true_class_rank(logits, labels)
    scores |= {metric.key: top_k(rank, metric.k) for metric in EVALUATION_METRICS if metric.k}
    objective = {OBJECTIVE.key: scores["loss"] + regularization_loss}
    return objective | scores | {ECE.key: calibration(logits, labels, bins)[0]}


def top_predictions(logits: np.ndarray, k: int = TOP_K) -> tuple[np.ndarray, np.ndarray]:
    """Returns each image's k likeliest classes, int32, and their probabilities, float32: (images, k), best first."""
    order = np.argsort(-logits, axis=1, kind="stable")[:, :k]
    probabilities = np.exp(np.take_along_axis(log_softmax(logits), order, axis=1))
    return order.astype(np.int32), probabilities.astype(np.float32)


def calibration(logits: np.ndarray, labels: np.ndarray, bins: int) -> tuple[float, list[dict[str, Any]]]:
    """Returns the expected calibration error and its bins.

    Source: Guo et al., 2017, "On Calibration of Modern Neural Networks".

    Args:
        logits: float (images, classes).
        labels: int (images,).
        bins: Number of bins of equal width for the confidence from 0 to 1; each includes its upper edge.
    """
    classes, probabilities = top_predictions(logits, 1)
    confidence, correct = probabilities[:, 0].astype(np.float64), classes[:, 0] == labels
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    counts = np.bincount(place, minlength=bins)
    confidence_sums = np.bincount(place, confidence, minlength=bins)
    correct_sums = np.bincount(place, correct, minlength=bins)
    error = float(np.abs(confidence_sums - correct_sums).sum() / len(labels))
    rows = []
    for i in range(bins):
        filled = counts[i] > 0
        rows.append(
            {
                "bin_low": i / bins,
                "bin_high": (i + 1) / bins,
                "num_images": int(counts[i]),
                "confidence": float(confidence_sums[i] / counts[i]) if filled else "",
                "accuracy": float(correct_sums[i] / counts[i]) if filled else "",
            }
        )
    return error, rows


def confusion_matrix(labels: np.ndarray, guesses: np.ndarray, num_classes: int) -> np.ndarray:
    """Returns the number of images of each class (row) by predicted class (column), int (classes, classes)."""
    cells = labels.astype(np.int64) * num_classes + guesses
    return np.bincount(cells, minlength=num_classes**2).reshape(num_classes, num_classes)


def per_class(logits: np.ndarray, labels: np.ndarray, classes: Sequence[Class]) -> list[dict[str, Any]]:
    """Returns a row for each class: its accuracies, and the wrong class that is predicted most often.

    Args:
        logits: float (images, classes).
        labels: int (images,).
        classes: The class of each label.
    """
    rank, predicted = true_class_rank(logits, labels), top_predictions(logits, 1)[0][:, 0]
    rows = []
    for label, each in enumerate(classes):
        mine = labels == label
        count = int(np.count_nonzero(mine))
        mistakes = np.bincount(predicted[mine & (predicted != label)], minlength=len(classes))
        worst = int(mistakes.argmax())
        rows.append(
            {
                "wnid": each.wnid,
                "words": each.words,
                "num_images": count,
                "top_1_accuracy": np.count_nonzero(rank[mine] < 1) / count if count else "",
                "top_5_accuracy": np.count_nonzero(rank[mine] < TOP_K) / count if count else "",
                "most_confused_with": classes[worst].words if mistakes[worst] else "",
                "most_confused_count": int(mistakes[worst]),
            }
        )
    return rows
