"""One training step against its definition, written with Keras' own losses and plain TensorFlow."""

from pathlib import Path

import keras
import numpy as np
import pytest
from tests.support.tiny_records import AUGMENTATION
from tests.training.test_loop import TRAIN, make_trainer, run

from tiny_imagenet.augmentation.batch import Batch, Images, Selection, StepKey, make_batch
from tiny_imagenet.core.errors import PipelineError
from tiny_imagenet.core.schema import Augmentation
from tiny_imagenet.models.layers.blocks import BACKBONE
from tiny_imagenet.scoring.metrics import regularization_loss, score
from tiny_imagenet.training.batch_source import epoch_order
from tiny_imagenet.training.epoch_schedule import EpochSettings
from tiny_imagenet.training.train_step import cross_entropy, device_errors, smoothed

# isort: split
import tensorflow as tf

BATCH_SIZE = 20
RESNET = {"widths": [4], "depths": [1]}
LOGITS = tf.constant(np.random.default_rng(0).normal(0.0, 2.0, (6, 4)), tf.float32)
LABELS, MIXED_LABELS = tf.constant([0, 1, 2, 3, 0, 1]), tf.constant([3, 2, 1, 0, 3, 1])


ORDER = epoch_order(1, 0, len(TRAIN.labels))


def first_batch(augmentation: Augmentation) -> Batch:
    """Returns the batch of step 0 on one replica."""
    image_ids, zero = tf.constant(ORDER[:BATCH_SIZE]), tf.constant(0)
    source = Images(tf.constant(TRAIN.images), tf.constant(TRAIN.labels))
    return make_batch(source, Selection(image_ids, image_ids), StepKey(1, zero, zero, zero, 1), augmentation)


def test_a_step_of_sgd_follows_its_definition(tmp_path: Path) -> None:
    """Cross-entropy plus L2, one update of plain SGD; the metrics are those of the logits before the update."""
    trainer = make_trainer(tmp_path, dropout=0.0, epochs=1, batch_size=BATCH_SIZE)
    model = make_trainer(tmp_path / "expected", dropout=0.0).model
    batch = first_batch(AUGMENTATION)
    with tf.GradientTape() as tape:
        logits = model(batch.images, training=True)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(batch.labels, logits)
        objective = loss + tf.add_n(model.losses)
    scores = score(np.asarray(logits), np.asarray(batch.labels))
    penalty = regularization_loss(model)
    variables = [variable.value for variable in model.trainable_variables]
    for variable, gradient in zip(variables, tape.gradient(objective, variables), strict=True):
        variable.assign_sub(0.1 * gradient)

    (row,) = run(trainer)
    for ours, theirs in zip(trainer.model.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-7)
    assert {key: row[key] for key in scores} == pytest.approx(scores, rel=1e-6)
    assert row["objective"] == pytest.approx(row["loss"] + regularization_loss(model), rel=1e-6)
    assert penalty != pytest.approx(regularization_loss(model), rel=1e-6)  # of the weights after the update
    assert (row["epoch"], row["lr"]) == (1, 0.1)


def test_a_call_of_several_steps_equals_calls_of_one(tmp_path: Path) -> None:
    sums = []
    for name, calls in (("one", [3]), ("three", [1, 1, 1])):
        trainer, first = make_trainer(tmp_path / name), 0
        trainer.source.start_epoch(ORDER, 0)
        rows = []
        for count in calls:
            rows.append(trainer.train_step(first, count, trainer.source.next_batches(count), trainer.epochs[0]))
            first += count
        sums.append(np.concatenate(rows))
    assert sums[0].shape == (3, 3)
    assert np.array_equal(sums[0], sums[1])


def test_one_compiled_step_is_that_of_the_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With `xla` and a GPU the optimizer is in the same program as the gradients."""
    weights = []
    for gpus in ([], ["GPU"]):
        monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind=None, gpus=gpus: gpus)
        changes = {"xla": True, "ema_momentum": 0.5, "momentum": 0.9, "architecture": "resnet", "arguments": RESNET}
        trainer = make_trainer(tmp_path / str(len(gpus)), **changes)
        trainer.source.start_epoch(ORDER, 0)
        trainer.train_step(0, 3, trainer.source.next_batches(3), trainer.epochs[0])
        weights.append([np.asarray(each) for each in [*trainer.model.variables, *trainer.optimizer.variables]])
    assert len(weights[0]) > 20
    for parts, whole in zip(*weights, strict=True):
        np.testing.assert_allclose(parts, whole, rtol=1e-4, atol=1e-5)


def test_only_the_head_is_trained_in_a_frozen_epoch(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, dropout=0.0, l2=0.0)
    backbone = next(layer for layer in trainer.model.layers if isinstance(layer, keras.layers.Conv2D))
    backbone.name = BACKBONE
    trainer.source.start_epoch(ORDER, 0)
    before = {variable.path: np.asarray(variable).copy() for variable in trainer.model.trainable_variables}
    trainer.train_step(0, 1, trainer.source.next_batches(1), EpochSettings(12, frozen=True))
    frozen = {variable.path for variable in backbone.trainable_variables}
    assert len(frozen) == 2
    for variable in trainer.model.trainable_variables:
        assert np.array_equal(before[variable.path], np.asarray(variable)) == (variable.path in frozen), variable.path


def test_the_cross_entropy_of_mixed_images_weights_both_labels() -> None:
    lam = tf.constant([1.0, 0.0, 0.25, 0.5, 0.75, 0.5])
    own, others = (
        keras.losses.sparse_categorical_crossentropy(labels, LOGITS, from_logits=True)
        for labels in (LABELS, MIXED_LABELS)
    )
    images = tf.zeros((6, 2, 2, 3))
    np.testing.assert_allclose(cross_entropy(LOGITS, Batch(images, LABELS, None, None)), own, rtol=1e-6)
    mixed = cross_entropy(LOGITS, Batch(images, LABELS, MIXED_LABELS, lam))
    np.testing.assert_allclose(mixed, lam * own + (1 - lam) * others, rtol=1e-6)


def test_label_smoothing_equals_keras() -> None:
    losses = keras.losses.sparse_categorical_crossentropy(LABELS, LOGITS, from_logits=True)
    expected = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1, reduction=None)(
        tf.one_hot(LABELS, 4), LOGITS
    )
    np.testing.assert_allclose(smoothed(losses, LOGITS, 0.1), expected, rtol=1e-5)
    assert smoothed(losses, LOGITS, 0.0) is losses


@pytest.mark.parametrize(("mixup", "cutmix"), [(1.0, 0.0), (0.0, 1.0)])
def test_a_mixed_image_counts_as_the_label_of_the_larger_weight(tmp_path: Path, mixup: float, cutmix: float) -> None:
    """The model answers class 0 for every image, so the sum of top-1 is the number of images that count as class 0."""
    augmentation = Augmentation(mixup=mixup, cutmix=cutmix)
    trainer = make_trainer(tmp_path, augmentation=augmentation, dropout=0.0, batch_size=BATCH_SIZE)
    trainer.model.layers[-1].bias.assign([50.0, *[0.0] * 6])
    batch = first_batch(augmentation)
    counted = np.where(np.asarray(batch.lam) < 0.5, batch.mixed_labels, batch.labels)
    trainer.source.start_epoch(ORDER, 0)
    sums = trainer.train_step(0, 1, trainer.source.next_batches(1), trainer.epochs[0]).numpy()
    assert sums[0, 1] == np.count_nonzero(counted == 0)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (tf.errors.ResourceExhaustedError(None, None, "OOM"), "batch_size: 8 images do not fit into memory; lower it"),
        (tf.errors.UnimplementedError(None, None, "no deterministic kernel"), r"training\.deterministic: .*set it to"),
    ],
)
def test_errors_of_a_device_name_the_setting(error: Exception, message: str) -> None:
    with pytest.raises(PipelineError, match=message), device_errors(8):
        raise error


def test_other_errors_of_a_device_are_raised_as_they_are() -> None:
    with pytest.raises(tf.errors.UnimplementedError), device_errors(8):
        raise tf.errors.UnimplementedError(None, None, "no such kernel")
