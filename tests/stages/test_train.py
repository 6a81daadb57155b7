"""The stage on tiny records: what it leaves, what it refuses, and that a kill changes nothing."""

import csv
import json
import random
import shutil
import signal
import subprocess
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from mlflow.entities import Run
from mlflow.tracking import MlflowClient
from tests.support.tiny_records import DATASET, import_stage, shrunk_params, start_stage, write_params, write_project

from tiny_imagenet.core.errors import InputError, PipelineError
from tiny_imagenet.core.files import sha256_of

TIMES = ("seconds", "images_per_second")
NAMES = ("loss", "objective", "top_1_accuracy", "top_5_accuracy")


def client(folder: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{folder / 'mlruns' / 'mlflow.db'}")


def runs(folder: Path) -> list[Run]:
    experiment = client(folder).get_experiment_by_name(DATASET)
    return list(client(folder).search_runs([experiment.experiment_id])) if experiment else []


def history(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics" / "tiny" / "history.csv").open() as file:
        return list(csv.DictReader(file))


def read_json(folder: Path, name: str) -> dict[str, Any]:
    return dict(json.loads((folder / name).read_text()))


@pytest.fixture
def project(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch, signals: None) -> Path:
    """A project of its own, the current directory, with what an earlier run published."""
    write_project(tmp_path, empty_store, epochs=1)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models" / "tiny").mkdir(parents=True)
    (tmp_path / "models" / "tiny" / "model.keras").write_text("former")
    return tmp_path


def assert_nothing_published(folder: Path) -> None:
    assert [path.name for path in (folder / "models").rglob("*.*")] == ["model.keras"]
    assert (folder / "models" / "tiny" / "model.keras").read_text() == "former"
    assert not (folder / "metrics").exists()


def test_the_outputs(trained: Path) -> None:
    rows = history(trained)
    assert list(rows[0]) == ["epoch", "lr", *NAMES, *(f"val_{name}" for name in NAMES), *TIMES]
    assert [row["epoch"] for row in rows] == ["1", "2"]
    training = read_json(trained, "metrics/tiny/training.json")
    expected = {
        "model": "tiny",
        "architecture": "simple_cnn",
        "recipe": "paper",
        "dataset": DATASET,
        "epochs": 2,
        "recipe_epochs": 40,
        "seed": 1,
        "batch_size": 8,
        "lr": 0.05,
    }
    assert {key: training[key] for key in expected} == expected
    assert training["versions"].keys() == {"python", "tensorflow", "keras"}
    images = 2 * 3 * 8  # epochs, steps, batch size
    assert training["train_flops"] == 6 * training["macs_per_image"] * images
    assert training["train_seconds"] == pytest.approx(sum(float(row["seconds"]) for row in rows))
    assert training["images_per_second"] == pytest.approx(images / training["train_seconds"])
    summary = read_json(trained, "metrics/tiny/architecture.json")
    assert summary["num_parameters"] == training["num_parameters"]
    assert summary["macs_per_image"] == training["macs_per_image"]
    run = read_json(trained, "models/tiny/run.json")
    assert run["model_sha256"] == sha256_of(trained / "models" / "tiny" / "model.keras")
    left = {path.name for path in (trained / "models" / "tiny").iterdir()}
    assert left - {"submission.txt"} == {"model.keras", "run.json"}  # the stage evaluate may have run since
    assert not list((trained / ".checkpoints").iterdir())


def test_the_run_in_the_store(trained: Path) -> None:
    (run,) = runs(trained)
    assert read_json(trained, "models/tiny/run.json")["run_id"] == run.info.run_id
    assert (run.info.run_name, run.info.status) == ("tiny", "FINISHED")
    digest = sha256_of(trained / "data" / "records" / "manifest.json")
    assert run.data.tags["dvc.stage"] == "train@tiny"
    assert run.data.tags["dataset.sha256"] == digest
    expected = {"lr": "0.05", "augmentation.rotation_degrees": "20.0", "arguments.filters": "4", "seed": "1"}
    assert {key: run.data.params[key] for key in expected} == expected
    for row in history(trained):
        for name in (*NAMES, *(f"val_{name}" for name in NAMES), *TIMES):
            found = {metric.step: metric.value for metric in client(trained).get_metric_history(run.info.run_id, name)}
            assert found[int(row["epoch"])] == float(row[name])
            assert len(found) == 2
    assert run.outputs is not None
    (model,) = run.outputs.model_outputs
    assert client(trained).get_logged_model(model.model_id).name == "model"


def test_mixed_precision(project: Path, trained: Path) -> None:
    """bfloat16 arithmetic, float32 weights and logits; about the same loss."""
    params = shrunk_params()
    params["recipes"]["paper"]["precision"] = "mixed_bfloat16"
    write_params(project, params)
    import_stage("train").main("tiny")
    model = keras.models.load_model(project / "models" / "tiny" / "model.keras")
    assert [layer.compute_dtype for layer in model.layers if layer.weights] == [*["bfloat16"] * 3, "float32"]
    assert {variable.dtype for variable in model.trainable_variables} == {"float32"}
    assert keras.config.dtype_policy().name == "float32"
    ours, theirs = (float(history(each)[-1]["loss"]) for each in (project, trained))
    assert ours != theirs
    assert ours == pytest.approx(theirs, abs=0.02)


def flip_a_bit(records: Path) -> None:
    path = records / "train-00001-of-00002.tfrecord"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut_a_shard(records: Path) -> None:
    path = records / "val-00000-of-00001.tfrecord"
    path.write_bytes(path.read_bytes()[:-20])


def cut_the_manifest(records: Path) -> None:
    path = records / "manifest.json"
    path.write_bytes(path.read_bytes()[:100])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (flip_a_bit, "train-00001-of-00002.tfrecord: has SHA-256 "),
        (cut_a_shard, "val-00000-of-00001.tfrecord: has .* bytes, not "),
        (cut_the_manifest, "manifest.json: "),
        (shutil.rmtree, "manifest.json: No such file"),
    ],
)
def test_spoilt_records_are_named_before_a_run_begins(
    project: Path, spoil: Callable[[Path], None], message: str
) -> None:
    spoil(project / "data" / "records")
    with pytest.raises(InputError, match=f"{message}.*dvc repro preprocess"):
        import_stage("train").main("tiny")
    assert_nothing_published(project)
    assert not runs(project)


def test_a_loss_that_is_not_finite_publishes_nothing(project: Path) -> None:
    write_params(project, shrunk_params(epochs=3, lr=1e30))
    with pytest.raises(PipelineError, match=r"lr: the loss is not finite at step \d+ with lr 1e\+30"):
        import_stage("train").main("tiny")
    assert_nothing_published(project)
    (run,) = runs(project)
    assert run.info.status == "FAILED"


def test_a_batch_larger_than_the_data_is_refused(project: Path) -> None:
    write_params(project, shrunk_params(batch_size=27))
    with pytest.raises(InputError, match="batch_size: 27 is more than the 26 images"):
        import_stage("train").main("tiny")
    assert_nothing_published(project)
    assert not runs(project)


def test_a_model_that_is_not_there_is_named(project: Path) -> None:
    with pytest.raises(InputError, match=r"models\.tinny: no such model; did you mean 'tiny'"):
        import_stage("train").main("tinny")


def test_a_missing_gpu_is_an_error(project: Path) -> None:
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        pytest.skip("this machine has a GPU: the want of one cannot be tested here")
    write_params(project, shrunk_params(device="gpu"))
    with pytest.raises(PipelineError, match="device: a GPU was asked for"):
        import_stage("train").main("tiny")
    assert_nothing_published(project)


def test_a_store_that_goes_away_does_not_end_the_training(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise ConnectionError("gone")

    for name in ("log_batch", "log_inputs", "set_terminated"):
        monkeypatch.setattr(MlflowClient, name, refuse)
    import_stage("train").main("tiny")
    assert len(history(project)) == 1
    assert zipfile.is_zipfile(project / "models" / "tiny" / "model.keras")
    assert "values were not logged; history.csv has them" in capsys.readouterr().err


def weights(folder: Path) -> bytes:
    with zipfile.ZipFile(folder / "models" / "tiny" / "model.keras") as file:
        return file.read("model.weights.h5")


def saved_step(folder: Path) -> int:
    """Returns the step of the newest checkpoint, 0 if there is none."""
    for path in folder.glob(".checkpoints/*/checkpoint.npz"):
        try:
            with np.load(path) as file:
                return int(json.loads(file["about"].tobytes())["about"]["progress"]["step"])
        except FileNotFoundError:  # just now being replaced
            return 0
    return 0


def wait_for_step(folder: Path, process: subprocess.Popen[str], step: int) -> None:
    deadline = time.monotonic() + 300
    while saved_step(folder) < step:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def two_projects(folder: Path, store: Path, epochs: int) -> list[Path]:
    """Writes two equal projects, one to be left alone and one to be killed; they save as often as they can."""
    training = shrunk_params()["training"] | {"checkpoint_seconds": 0.05}
    return [
        write_project(folder / name, store, train=160, val=20, epochs=epochs, training=training)
        for name in ("alone", "killed")
    ]


def assert_same_result(folder: Path, left_alone: Path, epochs: int) -> None:
    """Compares weights, bit for bit, and the history but for its times."""
    assert weights(folder) == weights(left_alone)
    columns = [
        [{key: value for key, value in row.items() if key not in TIMES} for row in history(each)]
        for each in (folder, left_alone)
    ]
    assert columns[0] == columns[1]
    assert [row["epoch"] for row in columns[0]] == [str(epoch) for epoch in range(1, epochs + 1)]


@pytest.mark.slow
def test_twenty_kills_at_random_moments_leave_no_trace(tmp_path: Path, empty_store: Path) -> None:
    epochs, kills, rng = 300, 20, random.Random(5)
    left_alone, folder = two_projects(tmp_path, empty_store, epochs)
    for _ in range(kills):
        with start_stage(folder, "train", "tiny") as process:
            wait_for_step(folder, process, saved_step(folder) + rng.randint(1, 60))
            time.sleep(rng.uniform(0.0, 0.1))
            process.kill()
    assert saved_step(folder) < 20 * epochs
    for each in (folder, left_alone):
        with start_stage(each, "train", "tiny") as process:
            out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        assert ("in the same MLflow run" in out) == (each == folder)
    assert_same_result(folder, left_alone, epochs)
    assert len(runs(folder)) == 1


def test_killed_stopped_and_resumed_is_never_killed(tmp_path: Path, empty_store: Path) -> None:
    """SIGKILL, then SIGTERM, then to the end: the same files and the same MLflow run as without them."""
    epochs = 12
    left_alone, folder = two_projects(tmp_path, empty_store, epochs)
    with start_stage(left_alone, "train", "tiny") as undisturbed:
        with start_stage(folder, "train", "tiny") as process:
            wait_for_step(folder, process, 1)
            process.kill()
        killed_at = saved_step(folder)
        (run,) = runs(folder)
        assert run.info.status == "RUNNING"

        with start_stage(folder, "train", "tiny") as process:
            wait_for_step(folder, process, killed_at + 1)
            process.send_signal(signal.SIGTERM)
            asked = time.monotonic()
            _, err = process.communicate(timeout=300)
            assert time.monotonic() - asked < 10
        stopped_at = saved_step(folder)
        assert process.returncode == 128 + signal.SIGTERM
        assert err == f"train: stopped at step {stopped_at}, which is saved; the next run goes on from there\n"
        assert killed_at < stopped_at < 20 * epochs
        assert [each.info.status for each in runs(folder)] == ["KILLED"]
        assert not (folder / "models").exists()
        assert not (folder / "metrics").exists()

        with start_stage(folder, "train", "tiny") as process:
            out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        assert f"tiny: going on from step {stopped_at} in the same MLflow run, {run.info.run_id}" in out
        assert undisturbed.wait(timeout=300) == 0, undisturbed.communicate()
        undisturbed.communicate()

    assert_same_result(folder, left_alone, epochs)
    (finished,) = runs(folder)
    assert (finished.info.run_id, finished.info.status) == (run.info.run_id, "FINISHED")
    assert read_json(folder, "models/tiny/run.json")["run_id"] == run.info.run_id
    for name in ("loss", "val_top_1_accuracy"):
        metrics = client(folder).get_metric_history(run.info.run_id, name)
        assert [metric.step for metric in metrics] == list(range(1, epochs + 1))
        assert [metric.value for metric in metrics] == [float(row[name]) for row in history(left_alone)]
    assert not list((folder / ".checkpoints").iterdir())


def test_stage_says_so_on_its_own_command_line(tmp_path: Path, empty_store: Path) -> None:
    write_project(tmp_path, empty_store)
    cut_a_shard(tmp_path / "data" / "records")
    with start_stage(tmp_path, "train", "tiny") as process:
        out, err = process.communicate(timeout=300)
    assert (process.returncode, out) == (2, "")
    assert err.startswith("error: train: data/records/val-00000-of-00001.tfrecord: has ")
    assert err.count("\n") == 1
