"""The champion: which model becomes it, the content of a version, and its answers over HTTP."""

import base64
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import mlflow
import numpy as np
import pytest
from mlflow.models import Model
from mlflow.tracking import MlflowClient
from PIL import Image
from tests.support.synthetic_results import DATA_REPORT, training
from tests.support.tiny_records import CLASSES, REPOSITORY, import_stage, shrunk_params, write_params

from tiny_imagenet.cli.main import main
from tiny_imagenet.core.errors import PipelineError
from tiny_imagenet.dataset.manifest import load_manifest
from tiny_imagenet.dataset.model_info import ModelInfo
from tiny_imagenet.images.reader import iterate_examples
from tiny_imagenet.tracking.registry import Candidate, register_champion
from tiny_imagenet.tracking.runs import TrackedRun
from tiny_imagenet.training.keras_file import save_model


@pytest.fixture
def root(tmp_path: Path, empty_store: Path) -> Path:
    shutil.copytree(empty_store, tmp_path / "mlruns")
    return tmp_path


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a model of three classes."""
    images = keras.Input((8, 8, 3))
    outputs = keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(images))
    path = tmp_path_factory.mktemp("network") / "model.keras"
    info = ModelInfo(model="vgg", dataset="digits", image_size=8, classes=CLASSES, flip_tta=False)
    save_model(keras.Model(images, outputs), info, path)
    return path


def train(root: Path, name: str, network: Path | None, digest: str = "ab") -> str:
    """Logs what training would: a run with the model and its digest."""
    record = training(name, epochs=1).model_copy(update={"data_sha256": digest})
    with TrackedRun(root, record, stage=f"train@{name}") as run:
        if network is not None:
            run.log_model(network)
        run.log_result(record.model_sha256, 1.5)
    return run.run_id


def challenge(root: Path, name: str, top_1: float, split: str = "val", card: str = "# Card") -> str:
    (root / "card.md").write_text(card)
    candidate = Candidate(name, split, top_1, "digits", training(name, epochs=1).model_sha256)
    return register_champion(root, candidate, root / "card.md")


def client(root: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{root / 'mlruns' / 'mlflow.db'}")


def versions(root: Path) -> dict[str, str]:
    return {str(each.version): each.tags["model"] for each in client(root).search_model_versions("name = 'digits'")}


def champion(root: Path) -> str:
    return str(client(root).get_model_version_by_alias("digits", "champion").version)


def test_the_first_model_is_champion_with_all_that_a_user_needs(
    root: Path, network: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_id = train(root, "vgg", network)
    assert not capsys.readouterr().err
    assert challenge(root, "vgg", 0.25) == "digits: the champion is version 1, vgg (25.00% top-1 on val)"
    version = client(root).get_model_version_by_alias("digits", "champion")
    assert (str(version.version), version.run_id, version.description) == ("1", run_id, "# Card")
    assert version.tags["dataset.sha256"] == "ab"

    folder = Path(mlflow.artifacts.download_artifacts("models:/digits@champion"))
    assert (folder / "card.md").read_text() == "# Card"
    described = Model.load(str(folder))
    assert [each.name for each in described.signature.inputs.inputs] == ["image", "pixels"]
    assert [each.name for each in described.signature.outputs.inputs] == ["top"]
    example = described.load_input_example(str(folder))
    with Image.open(io.BytesIO(example["image"][0])) as picture:
        assert (picture.size, picture.getextrema()) == ((64, 64), ((0, 255), (0, 255), (128, 128)))
    (answer,) = mlflow.pyfunc.load_model("models:/digits@champion").predict(example)
    assert {each["wnid"] for each in answer["top"]} == {each.wnid for each in CLASSES}
    assert keras.saving.load_model(folder / "artifacts" / "model.keras").output_shape == (None, 3)


def test_only_a_better_model_becomes_champion(root: Path, network: Path) -> None:
    for name in ("vgg", "worse", "as_good", "better"):
        train(root, name, network)
    challenge(root, "vgg", 0.25)
    stays = "digits: the champion stays version 1, vgg (25.00% top-1 on val); not "
    assert challenge(root, "worse", 0.24) == f"{stays}worse (24.00% top-1 on val)"
    assert challenge(root, "as_good", 0.25) == f"{stays}as_good (25.00% top-1 on val)"
    assert (champion(root), versions(root)) == ("1", {"1": "vgg"})
    assert challenge(root, "better", 0.26) == "digits: the champion is version 2, better (26.00% top-1 on val)"
    assert (champion(root), versions(root)) == ("2", {"1": "vgg", "2": "better"})
    challenge(root, "vgg", 0.27)  # evaluated again: the version it has
    assert (champion(root), versions(root)) == ("1", {"1": "vgg", "2": "better"})


@pytest.mark.parametrize(("split", "digest"), [("holdout", "ab"), ("val", "cd")])
def test_of_incomparable_models_the_new_one_is_champion(root: Path, network: Path, split: str, digest: str) -> None:
    train(root, "old", network)
    train(root, "new", network, digest)
    challenge(root, "old", 0.25)
    challenge(root, "new", 0.10, split)
    assert champion(root) == "2"


def test_the_same_model_again_is_the_same_version_with_the_new_card(root: Path, network: Path) -> None:
    train(root, "vgg", network)
    challenge(root, "vgg", 0.25)
    challenge(root, "vgg", 0.20, card="# Another")
    assert versions(root) == {"1": "vgg"}
    version = client(root).get_model_version("digits", "1")
    assert (version.description, version.tags["top_1_accuracy"]) == ("# Another", "0.2")


def test_a_model_that_the_store_lacks_is_one_line(root: Path) -> None:
    for half in (None, root / "missing.keras"):  # a failed upload stays in the store
        train(root, "vgg", half)
        line = r"vgg: its MLflow run: is not in the store with its model; train it again"
        with pytest.raises(PipelineError, match=line):
            challenge(root, "vgg", 0.25)


@contextmanager
def served(root: Path) -> Iterator[str]:
    """Serves the champion with the command of its users, on a free port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tiny_imagenet", "serve", "--port", str(port), "--root", str(root)]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY / "src")}
    log = (root / "serve.log").open("w")
    with log, subprocess.Popen(command, env=environment, stdout=log, stderr=log) as process:
        try:
            deadline = time.monotonic() + 180
            while not answers(port):
                assert time.monotonic() < deadline, (root / "serve.log").read_text()
                time.sleep(0.3)
            yield f"http://127.0.0.1:{port}/invocations"
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
            assert not answers(port)  # its workers have ended too


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=2):
            return True
    except OSError:
        return False


def ask(address: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    body = json.dumps({"dataframe_records": rows}).encode()
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return list(json.load(answer)["predictions"])


def test_the_champion_answers_over_http_as_it_was_evaluated(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    params = shrunk_params()
    params["report"]["champion"] = True
    write_params(tmp_path, params)
    (tmp_path / "reports" / "data.json").write_text(json.dumps(DATA_REPORT))
    monkeypatch.chdir(tmp_path)
    import_stage("report").main()
    assert "tiny-imagenet-200: the champion is version 1, tiny (" in capsys.readouterr().out
    shutil.rmtree(tmp_path / "models")

    records = tmp_path / "data" / "records"
    files = [each["image/encoded"] for each in iterate_examples(records, load_manifest(records), "val")]
    shutil.rmtree(records)
    with served(tmp_path) as address:
        found = ask(address, [{"image": base64.b64encode(file).decode()} for file in files])
        with pytest.raises(urllib.error.HTTPError) as refused:
            ask(address, [{"image": base64.b64encode(b"no picture").decode()}])
        assert refused.value.code == 400
        assert "row 0: is not a picture in a supported format" in refused.value.read().decode()
        refused.value.close()
    wnids = [each.wnid for each in CLASSES]
    with np.load(tmp_path / "metrics" / "tiny" / "predictions.npz") as evaluated:
        assert [[wnids.index(each["wnid"]) for each in row["top"]] for row in found] == evaluated["top_5"].tolist()
        probabilities = [[each["probability"] for each in row["top"]] for row in found]
        np.testing.assert_allclose(probabilities, evaluated["top_5_probability"], rtol=1e-4)


def test_serving_a_model_that_is_not_registered_is_one_line(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["serve", "--root", str(root), "--model", "models:/digits@champion"])
    assert ended.value.code == 2
    line = capsys.readouterr().err
    assert line.startswith("error: serve: models:/digits@champion: no such model in the store (")
    assert "`report.champion: true`" in line


@pytest.mark.slow
def test_ui_prints_the_link_once_it_answers_and_ends_with_its_server(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained / "mlruns", tmp_path / "mlruns")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tiny_imagenet", "ui", "--port", str(port), "--root", str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY / "src")}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        link = next(line for line in process.stdout if line.startswith("Training runs, best first: "))
        address = link.split(": ", 1)[1].strip()
        assert address.startswith(f"http://127.0.0.1:{port}/#/experiments/1/runs?workflowType=machine_learning")
        with urllib.request.urlopen(address.partition("#")[0], timeout=10) as page:
            assert "MLflow" in page.read().decode()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(address.partition("#")[0], timeout=2)
