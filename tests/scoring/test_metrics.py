"""The metrics of training against scikit-learn and TensorFlow."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import accuracy_score, log_loss, top_k_accuracy_score

from tiny_imagenet.core.errors import PipelineError
from tiny_imagenet.scoring import metrics

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


def test_scores_equal_scikit_learns(logits: np.ndarray, labels: np.ndarray) -> None:
    every = list(range(CLASSES))
    scores = metrics.score(logits, labels)
    assert scores["loss"] == pytest.approx(log_loss(labels, softmax(logits), labels=every), rel=1e-9)
    assert scores["top_1_accuracy"] == accuracy_score(labels, logits.argmax(axis=1))
    assert scores["top_5_accuracy"] == pytest.approx(top_k_accuracy_score(labels, logits, k=5, labels=every), rel=1e-12)
    assert 0.3 < scores["top_1_accuracy"] < scores["top_5_accuracy"] < 1


def test_scores_equal_tensorflows_also_for_equal_logits() -> None:
    rng = np.random.default_rng(2)
    logits, labels = rng.integers(0, 3, (400, 8)).astype(np.float32), rng.integers(0, 8, 400).astype(np.int32)
    scores = metrics.score(logits, labels)
    for k in (1, 5):
        expected = tf.math.in_top_k(labels, logits, k).numpy().mean()
        assert scores[f"top_{k}_accuracy"] == pytest.approx(expected)


def test_the_true_class_ranks_first_among_equal_logits() -> None:
    assert metrics.true_class_rank(np.zeros((3, 4)), np.array([0, 2, 3])).tolist() == [0, 0, 0]
    assert metrics.true_class_rank(np.array([[1.0, 2.0, 2.0, 0.0]]), np.array([0])).tolist() == [2]


def test_with_fewer_than_five_classes_all_are_in_the_top_five() -> None:
    logits, labels = np.float32([[3, 2, 1], [3, 2, 1], [3, 2, 1]]), np.array([0, 1, 2])
    assert metrics.score(logits, labels) == {
        "loss": pytest.approx(log_loss(labels, softmax(logits))),
        "top_1_accuracy": 1 / 3,
        "top_5_accuracy": 1.0,
    }


def test_a_row_of_nan_counts_as_wrong() -> None:
    logits = np.zeros((2, 10))
    logits[0] = np.nan
    scores = metrics.score(logits, np.array([0, 0]))
    assert (scores["top_1_accuracy"], scores["top_5_accuracy"]) == (0.5, 0.5)
    assert np.isnan(scores["loss"])


def test_huge_logits_do_not_overflow() -> None:
    logits = np.float32([[1e4, 0, -1e4], [-3e38, 3e38, 0]])
    with np.errstate(over="raise", invalid="raise"):
        scores = metrics.score(logits, np.array([1, 1]))
    assert scores["loss"] == pytest.approx(5e3)


def test_the_regularization_loss_is_the_sum_of_the_models_losses() -> None:
    images = keras.Input((2,))
    model = keras.Model(images, keras.layers.Dense(2, kernel_regularizer=keras.regularizers.L2(0.1))(images))
    model.set_weights([np.float32([[1, 2], [3, 4]]), np.float32([5, 6])])
    assert metrics.regularization_loss(model) == pytest.approx(3.0)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_metric_that_is_not_finite_is_an_error(value: float) -> None:
    metrics.require_finite({"loss": 1.0, "num_images": 3, "model": "vgg"}, "models.vgg")
    with pytest.raises(PipelineError, match=rf"models\.vgg: loss is {value}; lower `lr` and train again"):
        metrics.require_finite({"num_images": 3, "loss": value}, "models.vgg")


def test_step_metrics_are_the_keys_of_a_score(logits: np.ndarray, labels: np.ndarray) -> None:
    assert [metric.key for metric in metrics.STEP_METRICS] == list(metrics.score(logits, labels))
    assert {metric.key: metric.higher_is_better for metric in metrics.STEP_METRICS} == {
        "loss": False,
        "top_1_accuracy": True,
        "top_5_accuracy": True,
    }


def test_a_top_k_accuracy_is_named_by_its_k() -> None:
    metric = metrics.top_k_accuracy(10)
    assert (metric.key, metric.label, metric.title) == ("top_10_accuracy", "top-10", "top-10 accuracy")
    assert metric.is_fraction
    assert metric.k == 10


def test_log_softmax_is_the_logarithm_of_the_probabilities(logits: np.ndarray, labels: np.ndarray) -> None:
    assert np.allclose(metrics.log_softmax(logits), np.log(softmax(logits)), atol=1e-12)
    expected = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    assert np.allclose(metrics.cross_entropy(logits, labels), expected, atol=1e-5)
