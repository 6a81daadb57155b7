"""The loop on tiny images: exact repetition, exact resume, several devices, and what it counts."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from tests.support.tiny_records import AUGMENTATION, NOTHING, REPOSITORY

from tiny_imagenet.augmentation.batch import make_batch
from tiny_imagenet.core.errors import InputError, PipelineError
from tiny_imagenet.core.process import Stopped
from tiny_imagenet.core.schema import Recipe
from tiny_imagenet.distribute import devices  # before TensorFlow
from tiny_imagenet.images.decoding import Images
from tiny_imagenet.scoring.metrics import regularization_loss, score
from tiny_imagenet.scoring.predictor import make_predictor
from tiny_imagenet.training.batch_source import FromDisk, epoch_order
from tiny_imagenet.training.checkpoint import CheckpointStore
from tiny_imagenet.training.loop import Settings, Trainer
from tiny_imagenet.training.model import build_model

# isort: split
import tensorflow as tf

TIMES = ("seconds", "images_per_second")
L2 = 0.01
RECIPE: dict[str, Any] = {
    "optimizer": "sgd",
    "lr": 0.1,
    "epochs": 2,
    "batch_size": 8,
    "augmentation": AUGMENTATION,
}
SETTINGS: dict[str, Any] = {"seed": 1, "eval_batch_size": 4, "checkpoint_seconds": 1e9, "memory_bytes": 1e9}


MODERN: dict[str, Any] = {
    "architecture": "deep_vgg",
    "optimizer": "muon",
    "momentum": 0.9,
    "lr": 0.01,
    "schedule": "one_cycle",
    "warmup": 0.25,
    "weight_decay": 0.1,
    "clip_norm": 0.5,
    "ema_momentum": 0.9,
    "label_smoothing": 0.1,
    "flip_averaging": True,
    "progressive_resizing": {
        "initial_scale": 0.67,
        "delay_fraction": 0.0,
        "finetune_fraction": 0.5,
        "size_increment": 4,
    },
    "augmentation": NOTHING | {"flip": "alternating", "shift_pixels": 1},
}

EXACT = {"optimizer": "nesterov"}  # Muon iterates in bfloat16, which makes more of a last bit


def make_images(count: int, seed: int, num_classes: int = 7) -> Images:
    rng = np.random.default_rng(seed)
    return Images(
        rng.integers(0, 256, (count, 12, 12, 3), dtype=np.uint8), rng.integers(0, num_classes, count).astype(np.int32)
    )


TRAIN, VAL = make_images(35, 0), make_images(10, 1)  # neither a multiple of its batch size


def make_trainer(
    folder: Path,
    *,
    dropout: float = 0.3,
    model_seed: int = 1,
    train: Images = TRAIN,
    val: Images = VAL,
    num_classes: int = 7,
    strategy: Any = None,
    architecture: str = "simple_cnn",
    **settings: Any,
) -> Trainer:
    strategy = strategy or devices.make_strategy("cpu")
    arguments = {
        "simple_cnn": {"filters": 4},
        "deep_vgg": {"filters": (8, 16), "convolutions": (1, 1), "pool_first": True},
    }.get(architecture, {})
    with strategy.scope():
        model = build_model(
            architecture,
            image_size=12,
            num_classes=num_classes,
            dropout=dropout,
            l2=L2,
            seed=model_seed,
            hidden_units=8,
            **arguments,
        )
    rest = {key: settings.pop(key) for key in SETTINGS if key in settings}
    recipe = Recipe(**RECIPE | settings)
    return Trainer(model, strategy, train, val, Settings(recipe, **SETTINGS | rest), CheckpointStore(folder))


def run(
    trainer: Trainer, stop: Callable[[], bool] = lambda: False, about: Mapping[str, Any] | None = None
) -> list[dict[str, float]]:
    return trainer.run(about or {}, on_epoch=[], on_steps=lambda count: None, stop=stop)


def state(trainer: Trainer) -> tuple[list[bytes], list[dict[str, float]]]:
    """Returns everything that must be equal to the bit."""
    variables = [np.asarray(each).tobytes() for each in [*trainer.model.variables, *trainer.optimizer.variables]]
    rows = [{key: value for key, value in row.items() if key not in TIMES} for row in trainer.progress.history]
    return variables, rows


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[bytes], list[dict[str, float]]]:
    """A training of two epochs of four steps, never stopped."""
    trainer = make_trainer(tmp_path_factory.mktemp("whole"))
    run(trainer)
    return state(trainer)


def test_two_runs_are_the_same_run(whole: Any, tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path)
    assert run(trainer) == trainer.progress.history
    assert state(trainer) == whole


def test_grouping_steps_changes_nothing(whole: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tiny_imagenet.training.loop.LAUNCH_SECONDS", 0.0)
    taken: list[int] = []
    trainer = make_trainer(tmp_path)
    trainer.run({}, on_epoch=[], on_steps=taken.append, stop=lambda: False)
    assert taken == [1] * 8
    assert state(trainer) == whole


@pytest.mark.parametrize("last", [1, 3, 4, 6, 8])
def test_stopped_at_any_step_and_resumed_is_never_stopped(
    whole: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: int
) -> None:
    monkeypatch.setattr("tiny_imagenet.training.loop.LAUNCH_SECONDS", 0.0)
    first = make_trainer(tmp_path)
    with pytest.raises(Stopped, match=f"stopped at step {last}, which is saved"):
        run(first, lambda: first.progress.step == last, {"run_id": "a"})
    second = make_trainer(tmp_path, model_seed=99)  # its own weights do not matter
    about = second.restore()
    assert about is not None
    assert about["run_id"] == "a"
    assert second.progress.step == last
    run(second)
    assert state(second) == whole


def test_killed_after_a_save_on_the_way_and_resumed_is_never_killed(
    whole: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def kill(count: int) -> None:
        if first.progress.step == 6:  # step 5 is saved, step 6 is lost
            raise Killed

    monkeypatch.setattr("tiny_imagenet.training.loop.LAUNCH_SECONDS", 0.0)
    first = make_trainer(tmp_path, checkpoint_seconds=1e-9)
    with pytest.raises(Killed):
        first.run({}, on_epoch=[], on_steps=kill, stop=lambda: False)
    second = make_trainer(tmp_path)
    assert second.restore() is not None
    assert second.progress.step == 5
    run(second)
    assert state(second) == whole


def test_an_epoch_is_saved_before_it_is_told(tmp_path: Path) -> None:
    class Killed(BaseException):
        pass

    def kill(row: dict[str, float]) -> None:
        raise Killed

    trainer = make_trainer(tmp_path)
    with pytest.raises(Killed):
        trainer.run({}, on_epoch=[kill], on_steps=lambda count: None, stop=lambda: False)
    other = make_trainer(tmp_path)
    assert other.restore() is not None
    assert state(other) == state(trainer)
    assert len(other.progress.history) == 1


def test_a_finished_training_is_restored_as_it_ended(whole: Any, tmp_path: Path) -> None:
    run(make_trainer(tmp_path))
    other = make_trainer(tmp_path)
    other.restore()
    assert run(other) == other.progress.history
    assert state(other) == whole


def test_nothing_to_restore(tmp_path: Path) -> None:
    assert make_trainer(tmp_path).restore() is None


@pytest.mark.parametrize("changes", [{"seed": 2}, {"lr": 0.2}, {"dropout": 0.0}, {"batch_size": 7}, {"model_seed": 2}])
def test_every_setting_counts(whole: Any, tmp_path: Path, changes: dict[str, Any]) -> None:
    trainer = make_trainer(tmp_path, epochs=1, **changes)
    run(trainer)
    assert trainer.progress.history[0]["loss"] != whole[1][0]["loss"]


def test_a_step_is_that_of_the_definition(tmp_path: Path) -> None:
    """One step of plain SGD on cross-entropy + L2, its gradients from Keras's own losses; its row counted by hand."""
    trainer = make_trainer(tmp_path, dropout=0.0, epochs=1, batch_size=20)
    other = make_trainer(tmp_path / "other", dropout=0.0).model
    order = epoch_order(1, 0, 35)[:20]
    images, labels, *_ = make_batch(
        tf.constant(TRAIN.images),
        tf.constant(TRAIN.labels),
        tf.constant(order),
        seed=1,
        step=tf.constant(0),
        epoch=tf.constant(0),
        part=tf.constant(0),
        num_parts=1,
        settings=AUGMENTATION,
    )
    with tf.GradientTape() as tape:
        logits = other(images, training=True)
        cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(labels, logits)
        objective = cross_entropy + tf.add_n(other.losses)
    expected = np.asarray(logits)
    variables = [each.value for each in other.trainable_variables]
    for variable, gradient in zip(variables, tape.gradient(objective, variables), strict=True):
        variable.assign_sub(0.1 * gradient)

    (row,) = run(trainer)
    for ours, theirs in zip(trainer.model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-7)
    by_hand = score(expected, np.asarray(labels))
    assert row["loss"] == pytest.approx(by_hand["loss"], rel=1e-6)
    assert row["top_1_accuracy"] == pytest.approx(by_hand["top_1_accuracy"])
    assert row["top_5_accuracy"] == pytest.approx(by_hand["top_5_accuracy"])
    assert row["objective"] == pytest.approx(row["loss"] + regularization_loss(other), rel=1e-6)
    assert (row["epoch"], row["lr"]) == (1, 0.1)


def test_dropout_is_a_function_of_seed_and_step(whole: Any, tmp_path: Path) -> None:
    """Whatever state its layers are in when the loop begins."""
    trainer = make_trainer(tmp_path)
    for layer in trainer.model.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.seed_generator.state.assign([77, 88])
    run(trainer)
    assert state(trainer)[1] == whole[1]


def test_images_read_from_disk_are_those_in_memory(whole: Any, tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, memory_bytes=0)
    assert isinstance(trainer.feed, FromDisk)
    run(trainer)
    assert state(trainer) == whole


def test_xla_computes_the_same(tmp_path: Path) -> None:
    """The same batches and masks; sums in another order."""
    plain = run(make_trainer(tmp_path / "plain", architecture="fully_connected"))
    compiled = run(make_trainer(tmp_path / "xla", architecture="fully_connected", xla=True))
    for ours, theirs in zip(compiled, plain, strict=True):
        for key in theirs.keys() - set(TIMES):
            assert ours[key] == pytest.approx(theirs[key], abs=1e-5), key


def test_xla_without_a_deterministic_kernel_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"training\.deterministic: TensorFlow has no deterministic way"):
        run(make_trainer(tmp_path, xla=True))


def test_every_val_image_is_counted(tmp_path: Path) -> None:
    """Ten images in batches of four: the last two count as much as the others."""
    trainer = make_trainer(tmp_path, epochs=1)
    (row,) = run(trainer)
    logits = np.asarray(trainer.model(VAL.images.astype(np.float32), training=False))
    expected = score(logits, VAL.labels)
    assert row["val_loss"] == pytest.approx(expected["loss"], rel=1e-6)
    assert row["val_top_1_accuracy"] == expected["top_1_accuracy"]
    assert row["val_top_5_accuracy"] == expected["top_5_accuracy"]
    assert row["val_objective"] == pytest.approx(expected["loss"] + regularization_loss(trainer.model))
    assert not np.allclose(make_predictor(trainer.model, 4)(VAL.images[:8]).mean(), logits.mean())


def test_the_columns_of_the_history(whole: Any) -> None:
    names = ("loss", "objective", "top_1_accuracy", "top_5_accuracy")
    assert [list(row) for row in whole[1]] == [["epoch", "lr", *names, *(f"val_{name}" for name in names)]] * 2
    assert [row["epoch"] for row in whole[1]] == [1, 2]


def test_fewer_than_five_classes(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, epochs=1, train=make_images(16, 0, 3), val=make_images(5, 1, 3), num_classes=3)
    (row,) = run(trainer)
    assert (row["top_5_accuracy"], row["val_top_5_accuracy"]) == (1.0, 1.0)


def test_it_learns(tmp_path: Path) -> None:
    """Classes that brightness tells apart: the machinery moves the weights the right way."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 64).astype(np.int32)
    pixels = rng.integers(0, 100, (64, 12, 12, 3)) + 150 * labels[:, None, None, None]
    images = Images(pixels.astype(np.uint8), labels)
    plain = AUGMENTATION | {"brightness": (1.0, 1.0)}
    history = run(
        make_trainer(tmp_path, train=images, val=images, num_classes=2, augmentation=plain, epochs=15, dropout=0.0)
    )
    assert history[-1]["val_top_1_accuracy"] == 1.0
    assert history[-1]["loss"] < 0.5 * history[0]["loss"]


def test_a_loss_that_is_not_finite_names_step_and_lr(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tiny_imagenet.training.loop.LAUNCH_SECONDS", 0.0)
    trainer = make_trainer(tmp_path, lr=1e30)
    with pytest.raises(PipelineError, match=r"lr: the loss is not finite .* with lr 1e\+30; lower `lr`") as caught:
        run(trainer)
    assert caught.value.exit_status == 1
    assert 0 < trainer.progress.step < 4
    assert f" at step {trainer.progress.step} " in str(caught.value)
    assert trainer.restore() is None


def test_a_loss_lost_in_the_middle_of_a_group_names_its_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = make_trainer(tmp_path)
    sums = np.ones((4, 3), np.float32)
    sums[2, 0] = np.nan
    trainer.take = lambda first, count, group, phase: tf.constant(sums)
    trainer.progress.step = 8
    trainer.feed.begin(np.arange(35, dtype=np.int32), 0)
    with pytest.raises(PipelineError, match="not finite at step 10 "):
        trainer._take_steps(4, trainer.phases[0])


def test_memory_that_is_too_small_names_the_batch_size(tmp_path: Path) -> None:
    def take(*_: Any) -> Any:
        raise tf.errors.ResourceExhaustedError(None, None, "OOM\nwhen allocating")

    trainer = make_trainer(tmp_path)
    trainer.take = take
    with pytest.raises(PipelineError, match="batch_size: 8 images do not fit into memory; lower it"):
        run(trainer)


def test_a_batch_larger_than_the_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="batch_size: 36 is more than the 35 images; lower it"):
        make_trainer(tmp_path, batch_size=36)
    make_trainer(tmp_path, batch_size=35)


def two_cpus() -> Any:
    """Returns a strategy of two logical devices, which are made before anything else."""
    (cpu,) = tf.config.list_physical_devices("CPU")
    if tf.config.get_logical_device_configuration(cpu) is None:
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    return tf.distribute.MirroredStrategy(["/cpu:0", "/cpu:1"])


def train_on_two_devices(folder: Path) -> dict[str, Any]:
    """Runs in a process of its own."""
    found: dict[str, Any] = {}
    for dropout in (0.0, 0.3):
        for replay in ("", " again"):
            strategy = two_cpus()
            trainer = make_trainer(folder / f"{dropout}{replay}", dropout=dropout, strategy=strategy)
            history = run(trainer)
            weights = [each.tolist() for each in trainer.model.get_weights()]
            found[f"{dropout}{replay}"] = {"weights": weights, "history": history}
    try:
        make_trainer(folder / "odd", strategy=strategy, batch_size=9)
    except InputError as error:
        found["odd"] = str(error)
    return found


def train_modern_on_two_devices(folder: Path) -> dict[str, Any]:
    """Runs in a process of its own: collective operations of another model would be taken for its own."""
    trainer = make_trainer(folder, strategy=two_cpus(), **MODERN | EXACT)
    return {"history": run(trainer), "weights": [each.tolist() for each in trainer.model.get_weights()]}


def in_its_own_process(function: Callable[[Path], dict[str, Any]], folder: Path) -> dict[str, Any]:
    code = (
        f"import json, sys; from pathlib import Path; from tests.training.test_loop import {function.__name__}\n"
        f"print(json.dumps({function.__name__}(Path(sys.argv[1]))))"
    )
    environment = os.environ | {"PYTHONPATH": f"{REPOSITORY / 'src'}{os.pathsep}{REPOSITORY}"}
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_two_devices_are_one_device(tmp_path: Path) -> None:
    two = in_its_own_process(train_on_two_devices, tmp_path)
    assert two["0.3"]["weights"] == two["0.3 again"]["weights"]
    for dropout in (0.0, 0.3):
        one = make_trainer(tmp_path / "one", dropout=dropout)
        run(one)
        for ours, theirs in zip(two[str(dropout)]["weights"], one.model.get_weights(), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-6)
        for ours, theirs in zip(two[str(dropout)]["history"], one.progress.history, strict=True):
            for key in ours.keys() - set(TIMES):
                assert ours[key] == pytest.approx(theirs[key], abs=1e-6), key
    assert two["odd"] == "batch_size: cannot be shared by 2 devices; use a multiple of them"


def test_two_devices_are_one_device_for_a_modern_recipe(tmp_path: Path) -> None:
    two = in_its_own_process(train_modern_on_two_devices, tmp_path / "two")
    one = make_trainer(tmp_path / "one", **MODERN | EXACT)
    run(one)
    for ours, theirs in zip(two["weights"], one.model.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)
    for ours, theirs in zip(two["history"], one.progress.history, strict=True):
        for key in ("loss", "val_loss"):
            assert ours[key] == pytest.approx(theirs[key], rel=1e-5)


def test_a_modern_recipe_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    whole = make_trainer(tmp_path / "whole", **MODERN)
    run(whole)
    first = make_trainer(tmp_path / "cut", **MODERN)
    asked = iter([False, False, False, True])  # between steps, and before the first val batch
    with pytest.raises(Stopped):
        run(first, stop=lambda: next(asked, True))
    second = make_trainer(tmp_path / "cut", model_seed=99, **MODERN)
    second.restore()
    assert second.progress.step == first.progress.step > 0
    run(second)
    assert state(second) == state(whole)


@pytest.mark.parametrize("stop_at", range(1, 12, 3))
def test_averaged_weights_survive_a_stop_at_any_moment(tmp_path: Path, stop_at: int) -> None:
    settings = {"ema_momentum": 0.9, "epochs": 2}
    whole = make_trainer(tmp_path / "whole", **settings)
    run(whole)
    first, asked = make_trainer(tmp_path / "cut", **settings), []
    with pytest.raises(Stopped):
        run(first, stop=lambda: asked.append(1) is None and len(asked) == stop_at)
    second = make_trainer(tmp_path / "cut", **settings)
    second.restore()
    run(second)
    assert state(second) == state(whole)


def test_scored_and_kept_are_the_averaged_weights(tmp_path: Path) -> None:
    plain = make_trainer(tmp_path / "plain", epochs=1)
    plain.feed.begin(epoch_order(1, 0, len(TRAIN.labels)), 0)
    average: list[np.ndarray] = []
    for _ in range(plain.steps_per_epoch):
        plain._take_steps(1, plain.phases[0])
        weights = [np.asarray(variable).copy() for variable in plain.model.trainable_variables]
        average = [0.5 * old + 0.5 * new for old, new in zip(average or weights, weights, strict=True)]
    trainer = make_trainer(tmp_path / "averaged", epochs=1, ema_momentum=0.5)
    (row,) = run(trainer)
    for mine, expected in zip(trainer.model.trainable_variables, average, strict=True):
        np.testing.assert_allclose(np.asarray(mine), expected, rtol=1e-5, atol=1e-7)
    logits = make_predictor(trainer.model, 4)(VAL.images)
    assert row["val_loss"] == pytest.approx(score(logits, VAL.labels)["loss"], rel=1e-6)
