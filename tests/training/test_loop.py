"""The training loop on tiny images: exact repetition, exact resume, several devices, metrics and errors."""

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from tests.support.tiny_records import AUGMENTATION, REPOSITORY

from tiny_imagenet.core.errors import InputError, PipelineError
from tiny_imagenet.core.process import Stopped
from tiny_imagenet.core.schema import ModelSettings
from tiny_imagenet.distribute import devices  # before TensorFlow
from tiny_imagenet.images.decoding import DecodedSplit
from tiny_imagenet.scoring.metrics import regularization_loss, score
from tiny_imagenet.scoring.predictor import make_predictor
from tiny_imagenet.training.batch_source import FromDisk, epoch_order
from tiny_imagenet.training.checkpoint import CheckpointStore
from tiny_imagenet.training.loop import LoopOptions, Row, Trainer
from tiny_imagenet.training.model import build_model

# isort: split
import tensorflow as tf

TIMES = ("seconds", "images_per_second")
L2 = 0.01
SETTINGS: dict[str, Any] = {
    "model": "tiny",
    "architecture": "simple_cnn",
    "arguments": {"filters": 4, "hidden_units": 8},
    "recipe": "paper",
    "recipe_epochs": 2,
    "dataset": "tiny",
    "seed": 1,
    "optimizer": "sgd",
    "lr": 0.1,
    "epochs": 2,
    "batch_size": 8,
    "l2": L2,
    "dropout": 0.3,
    "augmentation": AUGMENTATION,
}
MODERN: dict[str, Any] = {
    "architecture": "deep_vgg",
    "arguments": {"filters": [8, 16], "convolutions": [1, 1], "pool_first": True, "hidden_units": 8},
    "optimizer": "muon",
    "momentum": 0.9,
    "lr": 0.01,
    "schedule": "one_cycle",
    "warmup_fraction": 0.25,
    "weight_decay": 0.1,
    "ema_momentum": 0.9,
    "label_smoothing": 0.1,
    "flip_tta": True,
    "progressive_resizing": {
        "initial_scale": 0.67,
        "delay_fraction": 0.0,
        "finetune_fraction": 0.5,
        "size_increment": 4,
    },
    "augmentation": {"flip": "alternating", "shift_pixels": 1},
}
NESTEROV = MODERN | {"optimizer": "nesterov"}  # Muon iterates in bfloat16, which amplifies a difference in a last bit
OPTIONS = LoopOptions(eval_batch_size=4, checkpoint_seconds=1e9, memory_bytes=1e9)


def make_split(count: int, seed: int, num_classes: int = 7) -> DecodedSplit:
    rng = np.random.default_rng(seed)
    return DecodedSplit(
        rng.integers(0, 256, (count, 12, 12, 3), dtype=np.uint8), rng.integers(0, num_classes, count).astype(np.int32)
    )


SPLITS = TRAIN, VAL = make_split(35, 0), make_split(10, 1)  # neither a multiple of its batch size


def make_trainer(
    folder: Path,
    *,
    model_seed: int = 1,
    splits: tuple[DecodedSplit, DecodedSplit] = SPLITS,
    num_classes: int = 7,
    image_size: int = 12,
    strategy: Any = None,
    options: LoopOptions = OPTIONS,
    **changes: Any,
) -> Trainer:
    strategy = strategy or devices.make_strategy("cpu")
    settings = ModelSettings(**SETTINGS | changes)
    with strategy.scope():
        model = build_model(
            settings.architecture,
            image_size=image_size,
            num_classes=num_classes,
            dropout=settings.dropout,
            l2=settings.l2,
            seed=model_seed,
            **settings.arguments,
        )
    return Trainer(model, strategy, splits, settings, options, CheckpointStore(folder))


def run(
    trainer: Trainer, stop: Callable[[], bool] = lambda: False, metadata: Mapping[str, Any] | None = None
) -> list[Row]:
    return trainer.run(metadata or {}, on_epoch=[], on_steps=lambda count: None, stop=stop)


def state(trainer: Trainer) -> tuple[list[bytes], list[Row]]:
    """Returns the variables' bytes and the history without its times: equal trainings have equal states."""
    variables = [np.asarray(each).tobytes() for each in [*trainer.model.variables, *trainer.optimizer.variables]]
    rows = [{key: value for key, value in row.items() if key not in TIMES} for row in trainer.progress.history]
    return variables, rows


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[bytes], list[Row]]:
    """The state after a training of two epochs of four steps that was never stopped."""
    trainer = make_trainer(tmp_path_factory.mktemp("expected"))
    run(trainer)
    return state(trainer)


def test_equal_trainings_end_in_equal_states(expected: Any, tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path)
    assert run(trainer) == trainer.progress.history
    assert state(trainer) == expected


def test_the_number_of_steps_in_a_call_changes_nothing(
    expected: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tiny_imagenet.training.loop.CALL_SECONDS", 0.0)
    taken: list[int] = []
    trainer = make_trainer(tmp_path)
    trainer.run({}, on_epoch=[], on_steps=taken.append, stop=lambda: False)
    assert taken == [1] * 8
    assert state(trainer) == expected


@pytest.mark.parametrize("last", [1, 3, 4, 6, 8])
def test_a_training_stopped_at_any_step_resumes_exactly(
    expected: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: int
) -> None:
    monkeypatch.setattr("tiny_imagenet.training.loop.CALL_SECONDS", 0.0)
    first = make_trainer(tmp_path)
    with pytest.raises(Stopped, match=f"stopped at step {last}, which is saved; the next run resumes from there"):
        run(first, lambda: first.progress.step == last, {"run_id": "a"})
    second = make_trainer(tmp_path, model_seed=99)  # its initial weights are replaced
    metadata = second.restore()
    assert metadata is not None
    assert metadata["run_id"] == "a"
    assert second.progress.step == last
    run(second)
    assert state(second) == expected


def test_a_training_killed_after_a_checkpoint_resumes_exactly(
    expected: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def kill(count: int) -> None:
        if first.progress.step == 6:  # step 5 is saved, step 6 is lost
            raise Killed

    monkeypatch.setattr("tiny_imagenet.training.loop.CALL_SECONDS", 0.0)
    first = make_trainer(tmp_path, options=replace(OPTIONS, checkpoint_seconds=1e-9))
    with pytest.raises(Killed):
        first.run({}, on_epoch=[], on_steps=kill, stop=lambda: False)
    second = make_trainer(tmp_path)
    assert second.restore() is not None
    assert second.progress.step == 5
    run(second)
    assert state(second) == expected


def test_an_epoch_is_saved_before_its_callbacks(tmp_path: Path) -> None:
    class Killed(BaseException):
        pass

    def kill(row: Row) -> None:
        raise Killed

    trainer = make_trainer(tmp_path)
    with pytest.raises(Killed):
        trainer.run({}, on_epoch=[kill], on_steps=lambda count: None, stop=lambda: False)
    other = make_trainer(tmp_path)
    assert other.restore() is not None
    assert state(other) == state(trainer)
    assert len(other.progress.history) == 1


def test_a_finished_training_is_restored_and_does_nothing(expected: Any, tmp_path: Path) -> None:
    run(make_trainer(tmp_path))
    other = make_trainer(tmp_path)
    other.restore()
    assert run(other) == other.progress.history
    assert state(other) == expected


def test_restore_returns_none_without_a_checkpoint(tmp_path: Path) -> None:
    assert make_trainer(tmp_path).restore() is None


@pytest.mark.parametrize("changes", [{"seed": 2}, {"lr": 0.2}, {"dropout": 0.0}, {"batch_size": 7}, {"model_seed": 2}])
def test_a_changed_setting_changes_the_loss(expected: Any, tmp_path: Path, changes: dict[str, Any]) -> None:
    trainer = make_trainer(tmp_path, epochs=1, **changes)
    run(trainer)
    assert trainer.progress.history[0]["loss"] != expected[1][0]["loss"]


def test_dropout_is_a_function_of_seed_and_step(expected: Any, tmp_path: Path) -> None:
    """The state of the layers' own seed generators has no effect."""
    trainer = make_trainer(tmp_path)
    for layer in trainer.model.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.seed_generator.state.assign([77, 88])
    run(trainer)
    assert state(trainer)[1] == expected[1]


def test_images_read_from_disk_give_the_same_training(expected: Any, tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, options=replace(OPTIONS, memory_bytes=0))
    assert isinstance(trainer.source, FromDisk)
    run(trainer)
    assert state(trainer) == expected


def test_xla_gives_the_same_metrics(tmp_path: Path) -> None:
    """Batches and masks are equal; sums are in another order."""
    settings = {"architecture": "fully_connected", "arguments": {"hidden_units": 8}}
    plain = run(make_trainer(tmp_path / "plain", **settings))
    compiled = run(make_trainer(tmp_path / "xla", **settings, xla=True))
    for ours, theirs in zip(compiled, plain, strict=True):
        for key in theirs.keys() - set(TIMES):
            assert ours[key] == pytest.approx(theirs[key], abs=1e-5), key


def test_xla_without_a_deterministic_kernel_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"training\.deterministic: TensorFlow has no deterministic kernel"):
        run(make_trainer(tmp_path, xla=True))


def test_every_val_image_is_counted_once(tmp_path: Path) -> None:
    """Ten images in batches of four: the two of the last batch count as much as the others."""
    trainer = make_trainer(tmp_path, epochs=1)
    (row,) = run(trainer)
    logits = np.asarray(trainer.model(VAL.images.astype(np.float32), training=False))
    scores = score(logits, VAL.labels)
    assert row["val_loss"] == pytest.approx(scores["loss"], rel=1e-6)
    assert row["val_top_1_accuracy"] == scores["top_1_accuracy"]
    assert row["val_top_5_accuracy"] == scores["top_5_accuracy"]
    assert row["val_objective"] == pytest.approx(scores["loss"] + regularization_loss(trainer.model))
    assert not np.allclose(make_predictor(trainer.model, 4)(VAL.images[:8]).mean(), logits.mean())


def test_the_columns_of_the_history(expected: Any) -> None:
    names = ("loss", "objective", "top_1_accuracy", "top_5_accuracy")
    assert [list(row) for row in expected[1]] == [["epoch", "lr", *names, *(f"val_{name}" for name in names)]] * 2
    assert [row["epoch"] for row in expected[1]] == [1, 2]


def test_top_5_accuracy_of_fewer_than_five_classes_is_one(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, epochs=1, splits=(make_split(16, 0, 3), make_split(5, 1, 3)), num_classes=3)
    (row,) = run(trainer)
    assert (row["top_5_accuracy"], row["val_top_5_accuracy"]) == (1.0, 1.0)


def test_training_learns_classes_that_differ_in_brightness(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 64).astype(np.int32)
    pixels = rng.integers(0, 100, (64, 12, 12, 3)) + 150 * labels[:, None, None, None]
    split = DecodedSplit(pixels.astype(np.uint8), labels)
    settings = {
        "augmentation": AUGMENTATION.model_copy(update={"brightness": (1.0, 1.0)}),
        "epochs": 15,
        "dropout": 0.0,
    }
    history = run(make_trainer(tmp_path, splits=(split, split), num_classes=2, **settings))
    assert history[-1]["val_top_1_accuracy"] == 1.0
    assert history[-1]["loss"] < 0.5 * history[0]["loss"]


def test_a_loss_that_is_not_finite_is_an_error_with_step_and_lr(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tiny_imagenet.training.loop.CALL_SECONDS", 0.0)
    trainer = make_trainer(tmp_path, lr=1e30)
    with pytest.raises(PipelineError, match=r"lr: the loss is not finite .* with lr 1e\+30; lower `lr`") as caught:
        run(trainer)
    assert caught.value.exit_status == 1
    assert 0 < trainer.progress.step < 4
    assert f" at step {trainer.progress.step} " in str(caught.value)
    assert trainer.restore() is None


def test_a_loss_that_is_not_finite_within_a_call_names_its_step(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path)
    sums = np.ones((4, 3), np.float32)
    sums[2, 0] = np.nan
    trainer.train_step = lambda first, count, batches, epoch: tf.constant(sums)  # type: ignore[assignment]
    trainer.progress.step = 8
    trainer.source.start_epoch(np.arange(35, dtype=np.int32), 0)
    with pytest.raises(PipelineError, match="not finite at step 10 "):
        trainer._take_steps(4, trainer.epochs[0])


def test_too_little_memory_is_an_error_that_names_the_batch_size(tmp_path: Path) -> None:
    def run_out_of_memory(*_: Any) -> Any:
        raise tf.errors.ResourceExhaustedError(None, None, "OOM\nwhen allocating")

    trainer = make_trainer(tmp_path)
    trainer.train_step = run_out_of_memory  # type: ignore[assignment]
    with pytest.raises(PipelineError, match="batch_size: 8 images do not fit into memory; lower it"):
        run(trainer)


def test_a_batch_larger_than_the_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="batch_size: 36 is more than the 35 images; lower it"):
        make_trainer(tmp_path, batch_size=36)
    make_trainer(tmp_path, batch_size=35)


def two_cpus() -> Any:
    """Returns a strategy over two logical devices; to be called before TensorFlow computes anything."""
    (cpu,) = tf.config.list_physical_devices("CPU")
    if tf.config.get_logical_device_configuration(cpu) is None:
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    return tf.distribute.MirroredStrategy(["/cpu:0", "/cpu:1"])


def train_on_two_devices(folder: Path) -> dict[str, Any]:
    """Runs in its own process."""
    found: dict[str, Any] = {}
    for dropout in (0.0, 0.3):
        for repetition in ("", " again"):
            strategy = two_cpus()
            trainer = make_trainer(folder / f"{dropout}{repetition}", dropout=dropout, strategy=strategy)
            history = run(trainer)
            weights = [each.tolist() for each in trainer.model.get_weights()]
            found[f"{dropout}{repetition}"] = {"weights": weights, "history": history}
    try:
        make_trainer(folder / "odd", strategy=strategy, batch_size=9)
    except InputError as error:
        found["odd"] = str(error)
    return found


def train_modern_on_two_devices(folder: Path) -> dict[str, Any]:
    """Runs in its own process: collective operations of two models in one process would be confused."""
    trainer = make_trainer(folder, strategy=two_cpus(), **NESTEROV)
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


@pytest.mark.slow  # that of a modern recipe is always run
def test_two_devices_give_the_weights_of_one(tmp_path: Path) -> None:
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


def test_two_devices_give_the_weights_of_one_for_a_modern_recipe(tmp_path: Path) -> None:
    two = in_its_own_process(train_modern_on_two_devices, tmp_path / "two")
    one = make_trainer(tmp_path / "one", **NESTEROV)
    run(one)
    for ours, theirs in zip(two["weights"], one.model.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)
    for ours, theirs in zip(two["history"], one.progress.history, strict=True):
        for key in ("loss", "val_loss"):
            assert ours[key] == pytest.approx(theirs[key], rel=1e-5)


def test_a_modern_recipe_resumes_exactly(tmp_path: Path) -> None:
    uninterrupted = make_trainer(tmp_path / "uninterrupted", **MODERN)
    run(uninterrupted)
    first = make_trainer(tmp_path / "stopped", **MODERN)
    answers = iter([False, False, False, True])  # asked between steps, and before the first val batch
    with pytest.raises(Stopped):
        run(first, stop=lambda: next(answers, True))
    second = make_trainer(tmp_path / "stopped", model_seed=99, **MODERN)
    second.restore()
    assert second.progress.step == first.progress.step > 0
    run(second)
    assert state(second) == state(uninterrupted)


@pytest.mark.parametrize("stop_at", range(1, 12, 3))
def test_averaged_weights_resume_exactly(tmp_path: Path, stop_at: int) -> None:
    settings = {"ema_momentum": 0.9, "epochs": 2}
    uninterrupted = make_trainer(tmp_path / "uninterrupted", **settings)
    run(uninterrupted)
    first, calls = make_trainer(tmp_path / "stopped", **settings), itertools.count(1)
    with pytest.raises(Stopped):
        run(first, stop=lambda: next(calls) == stop_at)
    second = make_trainer(tmp_path / "stopped", **settings)
    second.restore()
    run(second)
    assert state(second) == state(uninterrupted)


def test_averaged_weights_are_scored_and_kept(tmp_path: Path) -> None:
    plain = make_trainer(tmp_path / "plain", epochs=1)
    plain.source.start_epoch(epoch_order(1, 0, len(TRAIN.labels)), 0)
    average: list[np.ndarray] = []
    for _ in range(plain.steps_per_epoch):
        plain._take_steps(1, plain.epochs[0])
        weights = [np.asarray(variable).copy() for variable in plain.model.trainable_variables]
        average = [0.5 * old + 0.5 * new for old, new in zip(average or weights, weights, strict=True)]
    trainer = make_trainer(tmp_path / "averaged", epochs=1, ema_momentum=0.5)
    (row,) = run(trainer)
    for variable, value in zip(trainer.model.trainable_variables, average, strict=True):
        np.testing.assert_allclose(np.asarray(variable), value, rtol=1e-5, atol=1e-7)
    logits = make_predictor(trainer.model, 4)(VAL.images)
    assert row["val_loss"] == pytest.approx(score(logits, VAL.labels)["loss"], rel=1e-6)
