"""How good a model is: loss, top-1, top-5, per class, confusion, calibration. Sums first, then one ratio."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tiny_imagenet.data.classes import Class
from tiny_imagenet.errors import PipelineError

TOP_K = 5


def score(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Returns the mean cross-entropy and the top-1 and top-5 accuracy (fractions) over all images.

    An image's rank is the number of classes with a strictly greater logit: among equals the true class comes first,
    as in `tf.math.in_top_k`. A row with a NaN counts as wrong.

    Args:
        logits: float (images, classes).
        labels: int (images,).
    """
    rank = true_class_rank(logits, labels)
    return {
        "loss": float(np.mean(cross_entropy(logits, labels))),
        "top_1_accuracy": float(np.count_nonzero(rank < 1) / len(labels)),
        "top_5_accuracy": float(np.count_nonzero(rank < TOP_K) / len(labels)),
    }


def true_class_rank(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns how many classes stand before the true one, int (images,); with a NaN in the row, more than any place."""
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
        bins: How many bins of equal width the confidence from 0 to 1 is cut into; each holds its upper edge.
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


def per_class(logits: np.ndarray, labels: np.ndarray, classes: Sequence[Class]) -> list[dict[str, Any]]:
    """Returns for each class its accuracies and the class it is most often taken for.

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


def l2_term(model: Any) -> float:
    """Returns a Keras model's regularisation loss: what `objective` holds beside the cross-entropy."""
    return float(sum(float(loss) for loss in model.losses))


def require_finite(values: Mapping[str, Any], where: str) -> None:
    """Raises PipelineError if a number among the values is not finite: such a result is not published."""
    for key, value in values.items():
        if isinstance(value, float) and not np.isfinite(value):
            raise PipelineError(where, f"{key} is {value}", "lower `lr` and train again")
