"""The stage evaluate on a tiny trained model: training's numbers again, every image once, and its errors."""

import csv
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from mlflow.tracking import MlflowClient
from tests.support.tiny_archive import WNIDS
from tests.support.tiny_records import import_stage, run_stage, shrunk_params, write_params

from tiny_imagenet.core.errors import InputError, PipelineError
from tiny_imagenet.dataset.manifest import load_manifest
from tiny_imagenet.dataset.model_info import read_model_info
from tiny_imagenet.images.reader import iterate_examples
from tiny_imagenet.training.keras_file import save_model

SUMMARY = "reports/metrics/tiny.json"
COUNT = 7  # val images; the batch size, 4, does not divide it


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def predictions(folder: Path) -> dict[str, np.ndarray]:
    with np.load(folder / "metrics" / "tiny" / "predictions.npz", allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def evaluation(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "metrics" / "tiny" / "evaluation.json").read_text()))


@pytest.fixture
def project(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the project after training and before evaluation, as the current directory."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    for name in ("evaluation.json", "per_class.csv", "calibration.csv", "confusion.csv", "predictions.npz"):
        (tmp_path / "metrics" / "tiny" / name).unlink()
    (tmp_path / SUMMARY).unlink()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def assert_nothing_published(folder: Path) -> None:
    names = sorted(path.name for path in (folder / "metrics" / "tiny").iterdir())
    assert names == ["architecture.json", "history.csv", "training.json"]
    assert not (folder / SUMMARY).exists()


def test_the_saved_model_gives_the_metrics_of_the_last_epoch(trained: Path) -> None:
    last, found = rows(trained / "metrics" / "tiny" / "history.csv")[-1], evaluation(trained)
    assert (found["model"], found["num_images"]) == ("tiny", COUNT)
    for name in ("loss", "objective"):
        assert found[name] == pytest.approx(float(last[f"val_{name}"]), abs=1e-6)
    for name in ("top_1_accuracy", "top_5_accuracy"):
        assert found[name] == float(last[f"val_{name}"])


def test_the_summary_for_git_holds_the_metrics_by_model(trained: Path) -> None:
    metrics = {key: value for key, value in evaluation(trained).items() if key not in ("model", "split", "num_images")}
    assert json.loads((trained / SUMMARY).read_text()) == {"tiny": metrics}


def test_every_val_image_is_predicted_once_in_the_records_order(trained: Path) -> None:
    found, records = predictions(trained), trained / "data" / "records"
    labels = [example["image/class/label"] for example in iterate_examples(records, load_manifest(records), "val")]
    assert found["label"].tolist() == labels
    assert len(labels) == COUNT
    assert {name: (array.dtype, array.shape) for name, array in found.items()} == {
        "label": (np.int32, (COUNT,)),
        "top_5": (np.int32, (COUNT, 3)),
        "top_5_probability": (np.float32, (COUNT, 3)),
        "loss": (np.float32, (COUNT,)),
    }
    np.testing.assert_allclose(found["top_5_probability"].sum(axis=1), 1, rtol=1e-5)
    assert (np.sort(found["top_5"], axis=1) == [0, 1, 2]).all()
    of_label = np.take_along_axis(found["top_5_probability"], np.argsort(found["top_5"]), 1)[range(COUNT), labels]
    np.testing.assert_allclose(found["loss"], -np.log(of_label), rtol=1e-4)
    assert evaluation(trained)["loss"] == pytest.approx(found["loss"].mean(), rel=1e-5)
    assert evaluation(trained)["top_1_accuracy"] == np.mean(found["top_5"][:, 0] == labels)


def test_the_tables_agree_with_the_predictions(trained: Path) -> None:
    found, metrics = predictions(trained), trained / "metrics" / "tiny"
    names = [f"class {label}" for label in range(3)]
    assert [(row["actual"], row["predicted"]) for row in rows(metrics / "confusion.csv")] == [
        (names[label], names[predicted]) for label, predicted in zip(found["label"], found["top_5"][:, 0], strict=True)
    ]
    per_class = rows(metrics / "per_class.csv")
    assert [row["wnid"] for row in per_class] == list(WNIDS)
    for label, row in enumerate(per_class):
        predicted = found["top_5"][found["label"] == label, 0]
        assert int(row["num_images"]) == len(predicted)
        assert float(row["top_1_accuracy"]) == pytest.approx(np.mean(predicted == label))
    bins = rows(metrics / "calibration.csv")
    assert len(bins) == 15
    assert sum(int(row["num_images"]) for row in bins) == COUNT
    gaps = [
        int(row["num_images"]) * abs(float(row["accuracy"]) - float(row["confidence"]))
        for row in bins
        if row["accuracy"]
    ]
    assert evaluation(trained)["ece"] == pytest.approx(sum(gaps) / COUNT)


def test_the_results_are_logged_to_the_run_of_the_training(trained: Path) -> None:
    client = MlflowClient(f"sqlite:///{trained / 'mlruns' / 'mlflow.db'}")
    (experiment,) = (each for each in client.search_experiments() if each.name != "Default")
    (run,) = client.search_runs([experiment.experiment_id])
    run_id = run.info.run_id
    assert run.info.status == "FINISHED"
    expected = {
        f"final_val_{key}": value
        for key, value in evaluation(trained).items()
        if key not in ("model", "split", "num_images")
    }
    assert {key: run.data.metrics[key] for key in expected} == expected
    names = {Path(file.path).name for file in client.list_artifacts(run_id, "evaluation")}
    assert names >= {"per_class.csv", "calibration.csv", "confusion.csv", "confusion.png", "evaluation.json"}
    assert run.data.metrics["best_val_loss"] == min(
        float(row["val_loss"]) for row in rows(trained / "metrics" / "tiny" / "history.csv")
    )


def test_the_batch_size_changes_no_metric(project: Path, trained: Path) -> None:
    params = shrunk_params()
    params["evaluation"]["batch_size"] = 5
    write_params(project, params)
    import_stage("evaluate").main("tiny")
    ours, theirs = evaluation(project), evaluation(trained)
    assert [ours.pop(key) for key in ("model", "split")] == [theirs.pop(key) for key in ("model", "split")]
    assert ours == pytest.approx(theirs, rel=1e-6)


def test_a_store_without_the_run_is_a_warning(
    project: Path, empty_store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(project / "mlruns")
    shutil.copytree(empty_store, project / "mlruns")
    import_stage("evaluate").main("tiny")
    assert "warning: tracking: the evaluation was not logged" in capsys.readouterr().err
    assert evaluation(project)["num_images"] == COUNT


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def replace_the_model(path: Path) -> None:
    images = keras.Input((16, 16, 3))
    keras.Model(images, keras.layers.Dense(3)(keras.layers.Flatten()(images))).save(path)


@pytest.mark.parametrize("damage", [cut, empty, replace_the_model])
def test_a_model_file_that_training_did_not_save_is_refused(project: Path, damage: Callable[[Path], None]) -> None:
    damage(project / "models" / "tiny" / "model.keras")
    with pytest.raises(InputError, match=r"models/tiny/model\.keras: (cannot be read|has no tiny_imagenet\.json)"):
        import_stage("evaluate").main("tiny")
    assert_nothing_published(project)


def test_an_error_is_one_line_on_stderr(project: Path) -> None:
    cut(project / "models" / "tiny" / "model.keras")
    status, out, err = run_stage(project, "evaluate", "tiny")
    assert (status, out) == (2, "")
    assert err.startswith("error: evaluate: models/tiny/model.keras: cannot be read (")
    assert err.count("\n") == 1


def test_missing_files_are_errors(project: Path) -> None:
    (project / "models" / "tiny" / "model.keras").unlink()
    with pytest.raises(InputError, match=r"model\.keras: not found"):
        import_stage("evaluate").main("tiny")
    assert_nothing_published(project)


def test_another_number_of_classes_is_refused(project: Path) -> None:
    path = project / "data" / "records" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["classes"].append({"wnid": "n99", "words": "one more"})
    path.write_text(json.dumps(manifest))
    with pytest.raises(InputError, match=r"models/tiny/model\.keras: was trained on other classes"):
        import_stage("evaluate").main("tiny")
    assert_nothing_published(project)


def test_a_loss_that_is_not_finite_publishes_nothing(project: Path) -> None:
    path = project / "models" / "tiny" / "model.keras"
    model = keras.saving.load_model(path, compile=False)
    model.set_weights([np.full_like(each, np.nan) for each in model.get_weights()])
    save_model(model, read_model_info(path), path)
    with pytest.raises(PipelineError, match=r"models\.tiny: .* is nan"):
        import_stage("evaluate").main("tiny")
    assert_nothing_published(project)


def test_predictions_hold_no_pickle(trained: Path) -> None:
    data = (trained / "metrics" / "tiny" / "predictions.npz").read_bytes()
    assert np.load(io.BytesIO(data), allow_pickle=False).files
