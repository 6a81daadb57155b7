"""The evaluation of a model in the MLflow run of its training: logged, and downloaded."""

import io
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient
from PIL import Image
from tests.tracking.test_runs import new_run

from tiny_imagenet.core.errors import InputError
from tiny_imagenet.scoring.metrics import STEP_METRICS
from tiny_imagenet.tracking.evaluations import BEST, download_evaluation, log_evaluation
from tiny_imagenet.tracking.logged_models import DESCRIPTION, describe_models
from tiny_imagenet.tracking.trained_runs import train_seconds

MODEL = "cd" * 32  # digest of a model's file


def png(size: tuple[int, int] = (40, 30)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, "red").save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def evaluated(root: Path) -> tuple[MlflowClient, str]:
    """A client and the id of a finished run of three epochs that an evaluation was logged to."""
    with new_run(root) as run:
        for number, loss in enumerate((3.0, 1.0, 2.0), start=1):
            run.log_epoch({"epoch": number, "val_loss": loss, "val_top_1_accuracy": 1 / loss, "lr": 0.1})
        run.log_result(MODEL, 1.5)
    folder = root / "metrics"
    folder.mkdir()
    (folder / "per_class.csv").write_text("a\n")
    log_evaluation(root, "digits", MODEL, {"loss": 0.5}, folder, {"confusion": png()})
    return run.client, run.run_id


def test_final_and_best_values_are_logged_at_their_epochs(evaluated: tuple[MlflowClient, str]) -> None:
    client, run_id = evaluated
    run = client.get_run(run_id)
    assert run.info.status == "FINISHED"
    for key, expected in (
        ("final_val_loss", (3, 0.5)),
        ("best_val_loss", (2, 1.0)),
        ("best_val_top_1_accuracy", (2, 1.0)),
    ):
        assert [(metric.step, metric.value) for metric in client.get_metric_history(run_id, key)] == [expected]
    assert not {"best_val_top_5_accuracy", "best_lr"} & run.data.metrics.keys()


def test_the_best_epoch_is_chosen_for_each_metric_of_a_step() -> None:
    assert {"val_loss": min, "val_top_1_accuracy": max, "val_top_5_accuracy": max} == BEST
    assert len(BEST) == len(STEP_METRICS)


def test_files_and_images_are_logged(evaluated: tuple[MlflowClient, str], root: Path) -> None:
    client, run_id = evaluated
    files = [file.path for file in client.list_artifacts(run_id, "evaluation")]
    assert files == ["evaluation/confusion.png", "evaluation/per_class.csv"]
    with Image.open(client.download_artifacts(run_id, files[0])) as picture:
        assert picture.size == (40, 30)
    assert any("confusion" in file.path for file in client.list_artifacts(run_id, "images"))  # shown in the charts
    assert len(list((root / "mlruns" / "artifacts").rglob("per_class.csv"))) == 1


def test_a_logged_evaluation_can_be_downloaded(
    evaluated: tuple[MlflowClient, str], root: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder, data_sha256, seconds = download_evaluation(root, evaluated[1], tmp_path_factory.mktemp("downloaded"))
    assert sorted(path.name for path in folder.iterdir()) == ["confusion.png", "per_class.csv"]
    assert (data_sha256, seconds) == ("ab" * 32, 1.5)


def test_a_run_without_an_evaluation_is_named(root: Path, tmp_path: Path) -> None:
    with new_run(root) as run:
        pass
    for run_id in (run.run_id, "0" * 32):
        with pytest.raises(InputError, match=f"run {run_id}: no evaluation of it is in the store"):
            download_evaluation(root, run_id, tmp_path)


def test_a_missing_store_is_named_and_not_created(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"mlruns/mlflow\.db: no such store; name a run"):
        download_evaluation(tmp_path, "0" * 32, tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_evaluation_without_its_run_is_a_warning(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with new_run(root) as run:
        run.log_result(MODEL, 1.5)
    log_evaluation(root, "digits", "0" * 64, {"loss": 0.5}, root, {})
    line = "warning: tracking: the evaluation was not logged: the store has no run of this model\n"
    assert capsys.readouterr().err == line


def test_of_equal_trainings_the_newest_run_is_found(root: Path) -> None:
    for seconds in (1.0, 2.0):
        with new_run(root) as run:
            run.log_result(MODEL, seconds)
    found = train_seconds(root, "digits", {"cnn": MODEL, "other": "0" * 64, "of an earlier version": ""})
    assert found == {"cnn": 2.0}


def test_a_store_that_fails_leaves_the_times_unknown(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "mlruns" / "mlflow.db").write_text("no database")
    assert train_seconds(root, "digits", {"cnn": MODEL}) == {}
    assert capsys.readouterr().err.startswith("warning: tracking: training times are not known (")


def no_files(root: Path) -> Path:
    folder = root / "no_files"
    folder.mkdir(exist_ok=True)
    return folder


def rated(root: Path, keras_file: Path, top_1: float, digest: str) -> str:
    """Logs a model and its evaluation; returns the model's id."""
    with new_run(root) as run:
        run.log_inputs(Path("data/records"))
        run.log_model(keras_file)
        run.log_result(digest, 1.5, {"train_flops": 7.0})
    log_evaluation(root, "digits", digest, {"top_1_accuracy": top_1}, no_files(root), {})
    (output,) = run.client.get_run(run.run_id).outputs.model_outputs
    return str(output.model_id)


def test_models_are_named_described_and_ranked_by_their_metrics(root: Path, trained: Path) -> None:
    keras_file = trained / "models" / "tiny" / "model.keras"
    worse, best = (rated(root, keras_file, top_1, digest) for top_1, digest in ((0.2, "ab" * 32), (0.3, "cd" * 32)))
    client = MlflowClient(f"sqlite:///{root / 'mlruns' / 'mlflow.db'}")
    before = client.search_logged_models(["1"])[0].tags[DESCRIPTION]
    assert before.startswith("`vgg` (vgg) on digits by recipe `paper`: ")
    describe_models(
        root, "digits", {"cd" * 32: "# Best", "ef" * 32: "# Without a run", "ab" * 32: "# Worse", "": "# Old"}
    )
    order = [{"field_name": "metrics.final_val_top_1_accuracy", "ascending": False}]
    found = client.search_logged_models(["1"], order_by=order)
    assert [each.model_id for each in found] == [best, worse]
    assert {each.name for each in found} == {"vgg"}
    assert [each.tags[DESCRIPTION] for each in found] == ["# Best", "# Worse"]
    assert found[0].params["lr"] == "0.01"
    metrics = {each.key: each for each in found[0].metrics}
    score = metrics["final_val_top_1_accuracy"]
    assert (score.value, score.dataset_name, score.dataset_digest) == (0.3, "digits", ("ab" * 32)[:36])


def test_a_result_that_is_no_measurement_is_a_tag(root: Path) -> None:
    with new_run(root) as run:
        run.log_result(MODEL, 1.5)
    log_evaluation(root, "digits", MODEL, {"loss": 0.5, "num_images": 7, "split": "val"}, no_files(root), {})
    data = run.client.get_run(run.run_id).data
    assert (data.tags["evaluation.num_images"], data.tags["evaluation.split"]) == ("7", "val")
    assert not [key for key in data.metrics if "num_images" in key]


def test_a_card_without_its_run_or_store_is_no_error(
    root: Path, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    describe_models(root, "digits", {"ef" * 32: "# Card"})
    empty = tmp_path_factory.mktemp("empty")
    describe_models(empty, "digits", {"ef" * 32: "# Card"})
    assert not list(empty.iterdir())
    assert capsys.readouterr().err == ""
