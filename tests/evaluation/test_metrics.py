"""The metrics against scikit-learn's, and where there is none against plain loops."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import accuracy_score, confusion_matrix, log_loss, top_k_accuracy_score

from tiny_imagenet.core.errors import PipelineError
from tiny_imagenet.dataset.classes import Class
from tiny_imagenet.scoring import metrics as evaluation

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


def test_score_is_scikit_learns(logits: np.ndarray, labels: np.ndarray) -> None:
    every = list(range(CLASSES))
    scores = evaluation.score(logits, labels)
    assert scores["loss"] == pytest.approx(log_loss(labels, softmax(logits), labels=every), rel=1e-9)
    assert scores["top_1_accuracy"] == accuracy_score(labels, logits.argmax(axis=1))
    assert scores["top_5_accuracy"] == pytest.approx(top_k_accuracy_score(labels, logits, k=5, labels=every), rel=1e-12)
    assert 0.3 < scores["top_1_accuracy"] < scores["top_5_accuracy"] < 1


def test_score_is_tensorflows_also_where_logits_are_equal() -> None:
    rng = np.random.default_rng(2)
    logits, labels = rng.integers(0, 3, (400, 8)).astype(np.float32), rng.integers(0, 8, 400).astype(np.int32)
    scores = evaluation.score(logits, labels)
    for k in (1, 5):
        expected = tf.math.in_top_k(labels, logits, k).numpy().mean()
        assert scores[f"top_{k}_accuracy"] == pytest.approx(expected)


def test_among_equals_the_true_class_comes_first() -> None:
    assert evaluation.true_class_rank(np.zeros((3, 4)), np.array([0, 2, 3])).tolist() == [0, 0, 0]
    assert evaluation.true_class_rank(np.array([[1.0, 2.0, 2.0, 0.0]]), np.array([0])).tolist() == [2]


def test_with_fewer_than_five_classes_all_are_in_the_top_five() -> None:
    logits, labels = np.float32([[3, 2, 1], [3, 2, 1], [3, 2, 1]]), np.array([0, 1, 2])
    assert evaluation.score(logits, labels) == {
        "loss": pytest.approx(log_loss(labels, softmax(logits))),
        "top_1_accuracy": 1 / 3,
        "top_5_accuracy": 1.0,
    }
    assert evaluation.top_predictions(logits)[0].tolist() == [[0, 1, 2]] * 3


def test_a_row_with_nothing_but_nan_counts_as_wrong() -> None:
    logits = np.zeros((2, 10))
    logits[0] = np.nan
    scores = evaluation.score(logits, np.array([0, 0]))
    assert (scores["top_1_accuracy"], scores["top_5_accuracy"]) == (0.5, 0.5)
    assert np.isnan(scores["loss"])


def test_huge_logits_do_not_overflow() -> None:
    logits = np.float32([[1e4, 0, -1e4], [-3e38, 3e38, 0]])
    with np.errstate(over="raise", invalid="raise"):
        scores = evaluation.score(logits, np.array([1, 1]))
    assert scores["loss"] == pytest.approx(5e3)


def test_top_predictions_are_the_likeliest_best_first(logits: np.ndarray) -> None:
    classes, probabilities = evaluation.top_predictions(logits)
    assert (classes.dtype, probabilities.dtype) == (np.int32, np.float32)
    for row, chosen, chances, expected in zip(logits, classes, probabilities, softmax(logits), strict=True):
        best = sorted(range(CLASSES), key=lambda label: (-row[label], label))[:5]
        assert chosen.tolist() == best
        np.testing.assert_allclose(chances, expected[best], rtol=1e-5)


@pytest.mark.parametrize("bins", [1, 10, 15])
def test_calibration_is_its_definition(logits: np.ndarray, labels: np.ndarray, bins: int) -> None:
    error, rows = evaluation.calibration(logits, labels, bins)
    chances = softmax(logits)
    held: list[list[tuple[float, bool]]] = [[] for _ in range(bins)]
    for row, label in zip(chances, labels, strict=True):
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
    assert evaluation.calibration(certain, np.array([0, 0, 1, 1]), 10)[0] == pytest.approx(0)
    error, rows = evaluation.calibration(certain, np.array([1, 1, 0, 0]), 10)
    assert error == pytest.approx(1)
    assert rows[9]["num_images"] == 4


def test_per_class_is_scikit_learns_confusion_matrix(logits: np.ndarray, labels: np.ndarray) -> None:
    classes = [Class(f"n{label}", f"word {label}") for label in range(CLASSES)]
    matrix = confusion_matrix(labels, logits.argmax(axis=1), labels=range(CLASSES))
    rows = evaluation.per_class(logits, labels, classes)
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
    right, absent = evaluation.per_class(np.float32([[1, 0], [1, 0]]), np.array([0, 0]), classes)
    assert (right["top_1_accuracy"], right["most_confused_with"], right["most_confused_count"]) == (1, "", 0)
    assert (absent["num_images"], absent["top_1_accuracy"], absent["top_5_accuracy"]) == (0, "", "")


def test_the_regularization_loss_is_the_models_losses() -> None:
    images = keras.Input((2,))
    model = keras.Model(images, keras.layers.Dense(2, kernel_regularizer=keras.regularizers.L2(0.1))(images))
    model.set_weights([np.float32([[1, 2], [3, 4]]), np.float32([5, 6])])
    assert evaluation.regularization_loss(model) == pytest.approx(3.0)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_result_that_is_not_finite_is_not_published(value: float) -> None:
    evaluation.require_finite({"loss": 1.0, "num_images": 3, "model": "vgg"}, "models.vgg")
    with pytest.raises(PipelineError, match=rf"models\.vgg: loss is {value}; lower `lr` and train again"):
        evaluation.require_finite({"num_images": 3, "loss": value}, "models.vgg")
