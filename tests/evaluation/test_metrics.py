"""The metrics of an evaluation against scikit-learn, and where it has none against plain loops."""

import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import confusion_matrix

from tiny_imagenet.dataset.classes import Class
from tiny_imagenet.evaluation import metrics
from tiny_imagenet.scoring.metrics import score, top_k_accuracy

IMAGES, CLASSES = 500, 12


@pytest.fixture(scope="module")
def logits() -> np.ndarray:
    return np.random.default_rng(0).normal(0, 3, (IMAGES, CLASSES)).astype(np.float32)


@pytest.fixture(scope="module")
def labels(logits: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(1)
    right = rng.random(IMAGES) < 0.4
    return np.where(right, logits.argmax(axis=1), rng.integers(0, CLASSES - 1, IMAGES)).astype(np.int32)


def softmax(logits: np.ndarray) -> np.ndarray:
    exponentials = np.exp(logits.astype(np.float64))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def test_an_evaluation_has_all_metrics(logits: np.ndarray, labels: np.ndarray) -> None:
    scores = metrics.evaluate(logits, labels, regularization_loss=0.75, bins=15)
    assert set(scores) == {metric.key for metric in metrics.METRICS}
    assert scores | score(logits, labels) == scores
    assert scores["objective"] == scores["loss"] + 0.75
    assert scores["ece"] == metrics.calibration(logits, labels, 15)[0]


def test_a_metric_added_to_the_table_is_evaluated(
    monkeypatch: pytest.MonkeyPatch, logits: np.ndarray, labels: np.ndarray
) -> None:
    before = metrics.evaluate(logits, labels, regularization_loss=0.0, bins=15)
    monkeypatch.setattr(metrics, "EVALUATION_METRICS", (*metrics.EVALUATION_METRICS, top_k_accuracy(10)))
    scores = metrics.evaluate(logits, labels, regularization_loss=0.0, bins=15)
    expected = tf.math.in_top_k(labels, logits, 10).numpy().mean()
    assert scores.pop("top_10_accuracy") == pytest.approx(expected)
    assert scores == before
    assert before["top_5_accuracy"] < expected < 1


def test_top_predictions_are_the_likeliest_classes_in_order(logits: np.ndarray) -> None:
    classes, probabilities = metrics.top_predictions(logits)
    assert (classes.dtype, probabilities.dtype) == (np.int32, np.float32)
    for row, chosen, probabilities_of, expected in zip(logits, classes, probabilities, softmax(logits), strict=True):
        best = sorted(range(CLASSES), key=lambda label: (-row[label], label))[:5]
        assert chosen.tolist() == best
        np.testing.assert_allclose(probabilities_of, expected[best], rtol=1e-5)


@pytest.mark.parametrize("bins", [1, 10, 15])
def test_calibration_equals_its_definition(logits: np.ndarray, labels: np.ndarray, bins: int) -> None:
    error, rows = metrics.calibration(logits, labels, bins)
    probabilities_of = softmax(logits)
    held: list[list[tuple[float, bool]]] = [[] for _ in range(bins)]
    for row, label in zip(probabilities_of, labels, strict=True):
        confidence = float(row.max())
        place = next(i for i in range(bins) if confidence <= (i + 1) / bins)
        held[place].append((confidence, int(row.argmax()) == label))
    expected = 0.0
    for i, (row, pairs) in enumerate(zip(rows, held, strict=True)):
        assert (row["bin_low"], row["bin_high"], row["num_images"]) == (i / bins, (i + 1) / bins, len(pairs))
        if not pairs:
            assert (row["confidence"], row["accuracy"]) == ("", "")
            continue
        confidence, accuracy = np.mean([each[0] for each in pairs]), np.mean([each[1] for each in pairs])
        assert row["confidence"] == pytest.approx(confidence, abs=1e-6)
        assert row["accuracy"] == pytest.approx(accuracy)
        expected += len(pairs) / IMAGES * abs(confidence - accuracy)
    assert error == pytest.approx(expected, abs=1e-6)
    assert sum(row["num_images"] for row in rows) == IMAGES


def test_calibration_at_its_extremes() -> None:
    certain = np.float32([[100, 0], [100, 0], [0, 100], [0, 100]])
    assert metrics.calibration(certain, np.array([0, 0, 1, 1]), 10)[0] == pytest.approx(0)
    error, rows = metrics.calibration(certain, np.array([1, 1, 0, 0]), 10)
    assert error == pytest.approx(1)
    assert rows[9]["num_images"] == 4


def test_accuracies_per_class_follow_from_scikit_learns_confusion_matrix(
    logits: np.ndarray, labels: np.ndarray
) -> None:
    classes = [Class(f"n{label}", f"word {label}") for label in range(CLASSES)]
    matrix = confusion_matrix(labels, logits.argmax(axis=1), labels=range(CLASSES))
    rows = metrics.per_class(logits, labels, classes)
    in_top_5 = tf.math.in_top_k(labels, logits, 5).numpy()
    assert [(row["wnid"], row["words"]) for row in rows] == [(each.wnid, each.words) for each in classes]
    for label, row in enumerate(rows):
        count = matrix[label].sum()
        assert row["num_images"] == count
        if not count:
            assert (row["top_1_accuracy"], row["top_5_accuracy"], row["most_confused_with"]) == ("", "", "")
            continue
        assert row["top_1_accuracy"] == pytest.approx(matrix[label, label] / count)
        assert row["top_5_accuracy"] == pytest.approx(in_top_5[labels == label].mean())
        mistakes = matrix[label].copy()
        mistakes[label] = 0
        assert row["most_confused_count"] == mistakes.max()
        assert row["most_confused_with"] == (classes[int(mistakes.argmax())].words if mistakes.any() else "")
    assert sum(row["num_images"] for row in rows) == IMAGES
    assert sum(row["top_1_accuracy"] * row["num_images"] for row in rows if row["num_images"]) == pytest.approx(
        np.trace(matrix)
    )


def test_a_class_without_images_or_mistakes_has_blank_cells() -> None:
    classes = [Class("n0", "a"), Class("n1", "b")]
    right, absent = metrics.per_class(np.float32([[1, 0], [1, 0]]), np.array([0, 0]), classes)
    assert (right["top_1_accuracy"], right["most_confused_with"], right["most_confused_count"]) == (1, "", 0)
    assert (absent["num_images"], absent["top_1_accuracy"], absent["top_5_accuracy"]) == (0, "", "")


def test_with_fewer_than_five_classes_all_are_predicted() -> None:
    assert metrics.top_predictions(np.float32([[3, 2, 1]] * 3))[0].tolist() == [[0, 1, 2]] * 3


def test_the_confusion_matrix_is_scikit_learns(logits: np.ndarray, labels: np.ndarray) -> None:
    guesses = logits.argmax(axis=1)
    expected = confusion_matrix(labels, guesses, labels=range(CLASSES))
    assert np.array_equal(metrics.confusion_matrix(labels, guesses, CLASSES), expected)
