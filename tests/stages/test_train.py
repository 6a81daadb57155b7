"""The stage train on tiny records: its outputs, its errors, equal files of equal trainings, and exact resume."""

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
from tests.support.tiny_records import (
    DATASET,
    import_stage,
    run_stage,
    shrunk_params,
    start_stage,
    write_params,
    write_project,
)

from tiny_imagenet.core.errors import InputError, PipelineError
from tiny_imagenet.core.files import sha256_of, write_json
from tiny_imagenet.tracking.runs import TrackedRun
from tiny_imagenet.tracking.trained_runs import MODEL_SHA256, TRAIN_SECONDS

TIMES = ("seconds", "images_per_second")  # of an epoch, in MLflow only
NAMES = ("loss", "objective", "top_1_accuracy", "top_5_accuracy")
OUTPUTS = (
    "models/tiny/model.keras",
    "metrics/tiny/history.csv",
    "metrics/tiny/training.json",
    "metrics/tiny/architecture.json",
)


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
    """A project with the output of an earlier run, as the current directory."""
    write_project(tmp_path, empty_store, epochs=1)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models" / "tiny").mkdir(parents=True)
    (tmp_path / "models" / "tiny" / "model.keras").write_text("former")
    return tmp_path


def assert_nothing_published(folder: Path) -> None:
    assert [path.name for path in (folder / "models").rglob("*.*")] == ["model.keras"]
    assert (folder / "models" / "tiny" / "model.keras").read_text() == "former"
    assert not (folder / "metrics").exists()


def test_the_outputs_of_a_training(trained: Path) -> None:
    rows = history(trained)
    assert list(rows[0]) == ["epoch", "lr", *NAMES, *(f"val_{name}" for name in NAMES)]
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
    assert not training.keys() & {"train_seconds", *TIMES}
    summary = read_json(trained, "metrics/tiny/architecture.json")
    assert summary["num_parameters"] == training["num_parameters"]
    assert summary["macs_per_image"] == training["macs_per_image"]
    assert training["model_sha256"] == sha256_of(trained / "models" / "tiny" / "model.keras")
    names = {path.name for path in (trained / "models" / "tiny").iterdir()}
    assert names - {"submission.txt"} == {"model.keras"}  # the stage evaluate has run since
    assert not list((trained / ".checkpoints").iterdir())


def logged(folder: Path, run: Run, name: str) -> dict[int, float]:
    """Returns the values of a metric of a run by epoch."""
    return {metric.step: metric.value for metric in client(folder).get_metric_history(run.info.run_id, name)}


def test_the_mlflow_run_of_a_training(trained: Path) -> None:
    (run,) = runs(trained)
    assert run.data.tags[MODEL_SHA256] == read_json(trained, "metrics/tiny/training.json")["model_sha256"]
    assert (run.info.run_name, run.info.status) == ("tiny", "FINISHED")
    digest = sha256_of(trained / "data" / "records" / "manifest.json")
    assert run.data.tags["dvc.stage"] == "train@tiny"
    assert run.data.tags["dataset.sha256"] == digest
    expected = {"lr": "0.05", "augmentation.rotation_degrees": "20.0", "arguments.filters": "4", "seed": "1"}
    assert {key: run.data.params[key] for key in expected} == expected
    rows = history(trained)
    for name in (*NAMES, *(f"val_{name}" for name in NAMES)):
        assert logged(trained, run, name) == {int(row["epoch"]): float(row[name]) for row in rows}
    for name in TIMES:
        assert list(logged(trained, run, name)) == [1, 2]
    seconds = run.data.metrics[TRAIN_SECONDS]
    assert seconds == pytest.approx(sum(logged(trained, run, "seconds").values()))
    assert run.outputs is not None
    (model,) = run.outputs.model_outputs
    assert client(trained).get_logged_model(model.model_id).name == "tiny"


def test_equal_trainings_in_two_folders_give_equal_files(tmp_path: Path, empty_store: Path) -> None:
    """The user's settings of Keras change nothing."""
    folders = [write_project(tmp_path / name, empty_store) for name in ("first", "second")]
    settings = {"floatx": "float16", "epsilon": 0.01, "image_data_format": "channels_first", "backend": "torch"}
    write_json(tmp_path / "keras" / "keras.json", settings)
    keras_variables = {"KERAS_HOME": str(tmp_path / "keras"), "KERAS_BACKEND": "jax"}
    for folder, variables in zip(
        folders, ({"PYTHONHASHSEED": "0"}, {"PYTHONHASHSEED": "1"} | keras_variables), strict=True
    ):
        status, _, err = run_stage(folder, "train", "tiny", **variables)
        assert status == 0, err
    for name in OUTPUTS:
        first, second = (folder / name for folder in folders)
        assert first.read_bytes() == second.read_bytes(), name
    files = {path.name for path in folders[0].glob("m*s/tiny/*")}
    assert files == {Path(name).name for name in OUTPUTS}


def test_mixed_precision(project: Path, trained: Path) -> None:
    """Arithmetic in bfloat16, weights and logits in float32, nearly the same loss."""
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
    ("damage", "message"),
    [
        (flip_a_bit, "train-00001-of-00002.tfrecord: has SHA-256 "),
        (cut_a_shard, "val-00000-of-00001.tfrecord: has .* bytes, not "),
        (cut_the_manifest, "manifest.json: "),
        (shutil.rmtree, "manifest.json: No such file"),
    ],
)
def test_damaged_records_are_an_error_before_a_run_starts(
    project: Path, damage: Callable[[Path], None], message: str
) -> None:
    damage(project / "data" / "records")
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


def test_history_csv_grows_with_each_epoch_also_after_a_resume(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `dvc` does it: the outputs are deleted before each run of the stage, and the checkpoint is kept."""

    class Interruption(Exception):
        pass

    def see(self: TrackedRun, row: dict[str, float]) -> None:
        seen.append((row["epoch"], [int(each["epoch"]) for each in history(project)]))
        if row["epoch"] == 2 and not resumed:
            raise Interruption

    def see_the_start(self: TrackedRun) -> None:
        at_start.append((project / "metrics" / "tiny" / "history.csv").exists())

    write_params(project, shrunk_params(epochs=3))
    seen: list[tuple[float, list[int]]] = []
    at_start: list[bool] = []
    resumed = False
    monkeypatch.setattr(TrackedRun, "log_epoch", see)
    monkeypatch.setattr(TrackedRun, "monitor_system", see_the_start)
    monkeypatch.setattr(TrackedRun, "logged_epochs", lambda _: 2)
    with pytest.raises(Interruption):
        import_stage("train").main("tiny")
    assert seen == [(1, [1]), (2, [1, 2])]
    first_epochs = (project / "metrics" / "tiny" / "history.csv").read_bytes()

    shutil.rmtree(project / "metrics")
    resumed = True
    import_stage("train").main("tiny")
    assert at_start == [False, True]
    assert seen[2:] == [(3, [1, 2, 3])]
    whole = (project / "metrics" / "tiny" / "history.csv").read_bytes()
    assert whole.startswith(first_epochs)
    assert not list(project.rglob(".temporary-*"))


def test_a_batch_larger_than_the_data_is_refused(project: Path) -> None:
    write_params(project, shrunk_params(batch_size=27))
    with pytest.raises(InputError, match="batch_size: 27 is more than the 26 images"):
        import_stage("train").main("tiny")
    assert_nothing_published(project)
    assert not runs(project)


def test_an_unknown_model_is_an_error(project: Path) -> None:
    with pytest.raises(InputError, match=r"models\.tinny: no such model; did you mean 'tiny'"):
        import_stage("train").main("tinny")


def test_a_missing_gpu_is_an_error(project: Path) -> None:
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        pytest.skip("this machine has a GPU")
    write_params(project, shrunk_params(device="gpu"))
    with pytest.raises(PipelineError, match="device: a GPU was asked for"):
        import_stage("train").main("tiny")
    assert_nothing_published(project)


def test_a_store_that_stops_answering_does_not_end_the_training(
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
                return int(json.loads(file["metadata"].tobytes())["metadata"]["progress"]["step"])
        except FileNotFoundError:  # it is being replaced
            return 0
    return 0


def wait_for_step(folder: Path, process: subprocess.Popen[str], step: int) -> None:
    deadline = time.monotonic() + 300
    while saved_step(folder) < step:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def two_projects(folder: Path, store: Path, epochs: int) -> list[Path]:
    """Writes two equal projects, of which the second is to be killed; both save as often as they can."""
    training = shrunk_params()["training"] | {"checkpoint_seconds": 0.05}
    return [
        write_project(folder / name, store, train=160, val=20, epochs=epochs, training=training)
        for name in ("undisturbed", "killed")
    ]


def assert_equal_files(folder: Path, undisturbed: Path, epochs: int) -> None:
    for name in OUTPUTS:
        assert (folder / name).read_bytes() == (undisturbed / name).read_bytes(), name
    assert [row["epoch"] for row in history(folder)] == [str(epoch) for epoch in range(1, epochs + 1)]


@pytest.mark.slow
def test_twenty_kills_at_random_moments_change_nothing(tmp_path: Path, empty_store: Path) -> None:
    epochs, kills, rng = 300, 20, random.Random(5)
    undisturbed, folder = two_projects(tmp_path, empty_store, epochs)
    for _ in range(kills):
        with start_stage(folder, "train", "tiny") as process:
            wait_for_step(folder, process, saved_step(folder) + rng.randint(1, 60))
            time.sleep(rng.uniform(0.0, 0.1))
            process.kill()
    assert saved_step(folder) < 20 * epochs
    for each in (folder, undisturbed):
        with start_stage(each, "train", "tiny") as process:
            out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        assert ("in the same MLflow run" in out) == (each == folder)
    assert_equal_files(folder, undisturbed, epochs)
    assert len(runs(folder)) == 1


def test_a_training_killed_stopped_and_resumed_gives_the_same_files(tmp_path: Path, empty_store: Path) -> None:
    """SIGKILL, then SIGTERM, then resumed to the end, all in one MLflow run."""
    epochs = 12
    undisturbed, folder = two_projects(tmp_path, empty_store, epochs)
    with start_stage(undisturbed, "train", "tiny") as other:
        with start_stage(folder, "train", "tiny") as process:
            wait_for_step(folder, process, 1)
            process.kill()
        killed_at = saved_step(folder)
        (run,) = runs(folder)
        assert run.info.status == "RUNNING"

        with start_stage(folder, "train", "tiny") as process:
            wait_for_step(folder, process, killed_at + 1)
            process.send_signal(signal.SIGTERM)
            signaled = time.monotonic()
            _, err = process.communicate(timeout=300)
            assert time.monotonic() - signaled < 10
        stopped_at = saved_step(folder)
        assert process.returncode == 128 + signal.SIGTERM
        assert err == f"train: stopped at step {stopped_at}, which is saved; the next run resumes from there\n"
        assert killed_at < stopped_at < 20 * epochs
        assert [each.info.status for each in runs(folder)] == ["KILLED"]
        assert not (folder / "models").exists()
        assert {path.name for path in folder.glob("metrics/tiny/*")} <= {"history.csv"}  # of the finished epochs

        with start_stage(folder, "train", "tiny") as process:
            out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        assert f"tiny: resuming from step {stopped_at} in the same MLflow run, {run.info.run_id}" in out
        assert other.wait(timeout=300) == 0, other.communicate()
        other.communicate()

    assert_equal_files(folder, undisturbed, epochs)
    (finished,) = runs(folder)
    assert (finished.info.run_id, finished.info.status) == (run.info.run_id, "FINISHED")
    assert MODEL_SHA256 in finished.data.tags
    for name in ("loss", "val_top_1_accuracy"):
        metrics = client(folder).get_metric_history(run.info.run_id, name)
        assert [metric.step for metric in metrics] == list(range(1, epochs + 1))
        assert [metric.value for metric in metrics] == [float(row[name]) for row in history(undisturbed)]
    assert not list((folder / ".checkpoints").iterdir())


def test_an_error_is_one_line_on_stderr(tmp_path: Path, empty_store: Path) -> None:
    write_project(tmp_path, empty_store)
    cut_a_shard(tmp_path / "data" / "records")
    with start_stage(tmp_path, "train", "tiny") as process:
        out, err = process.communicate(timeout=300)
    assert (process.returncode, out) == (2, "")
    assert err.startswith("error: train: data/records/val-00000-of-00001.tfrecord: has ")
    assert err.count("\n") == 1
