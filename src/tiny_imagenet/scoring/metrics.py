"""Metrics that training and evaluation share: cross-entropy, top-1 and top-5 accuracy over all images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tiny_imagenet.core.errors import PipelineError


@dataclass(frozen=True)
class Metric:
    """A metric, as training, evaluation, MLflow and the report use it.

    Attributes:
        key: Its name in files and in MLflow.
        label: Its name in tables.
        title: Its name on the model card.
        is_fraction: Whether it is a fraction, shown in percent.
        higher_is_better: Whether the best model has the highest value.
        k: For a top-k accuracy, the number of likeliest classes that count; else None.
    """

    key: str
    label: str
    title: str
    is_fraction: bool = False
    higher_is_better: bool = False
    k: int | None = None


def top_k_accuracy(k: int) -> Metric:
    """Returns the metric that is the fraction of images whose true class is among the k likeliest."""
    return Metric(f"top_{k}_accuracy", f"top-{k}", f"top-{k} accuracy", is_fraction=True, higher_is_better=True, k=k)


LOSS = Metric("loss", "loss", "loss (mean cross-entropy)")
TOP_1, TOP_5 = top_k_accuracy(1), top_k_accuracy(5)
STEP_METRICS = (LOSS, TOP_1, TOP_5)  # of each training step, and of val after each epoch
TOP_K = 5  # likeliest classes kept in predictions


def score(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Returns STEP_METRICS over all images, by key.

    Args:
        logits: float (images, classes).
        labels: int (images,).
    """
    rank = true_class_rank(logits, labels)
    accuracies = {metric.key: top_k(rank, metric.k) for metric in STEP_METRICS if metric.k}
    return {LOSS.key: float(np.mean(cross_entropy(logits, labels))), **accuracies}


def top_k(rank: np.ndarray, k: int) -> float:
    """Returns the fraction of images whose true class has a rank below k."""
    return float(np.count_nonzero(rank < k) / len(rank))


def true_class_rank(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns the rank of each image's true class, int (images,): 0 is best.

    The rank is the number of classes with a strictly greater logit, as in `tf.math.in_top_k`; a row with a NaN ranks
    last.
    """
    true = np.take_along_axis(logits, labels[:, None], axis=1)
    rank: np.ndarray = np.count_nonzero(~(logits <= true), axis=1)
    rank[np.isnan(logits).any(axis=1)] = max(TOP_K, logits.shape[1])
    return rank


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns minus the log-probability of the true class, float64 (images,)."""
    return -np.take_along_axis(log_softmax(logits), labels[:, None], axis=1)[:, 0]


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Returns the log-probabilities of the classes, float64 (images, classes)."""
    shifted: np.ndarray = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return shifted


def regularization_loss(model: Any) -> float:
    """Returns a Keras model's regularization loss: the difference between `objective` and `loss`."""
    return float(sum(float(loss) for loss in model.losses))


def require_finite(values: Mapping[str, Any], where: str) -> None:
    """Raises a PipelineError if a number among the values is not finite."""
    for key, value in values.items():
        if isinstance(value, float) and not np.isfinite(value):
            raise PipelineError(where, f"{key} is {value}", "lower `lr` and train again")
