"""The registered model, loaded as MLflow loads it: its answers are those of predict, and its errors name the row."""

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from PIL import Image
from tests.test_import_layers import imports_of

from tiny_imagenet.cli.main import main
from tiny_imagenet.dataset.manifest import load_manifest
from tiny_imagenet.images.reader import iterate_examples
from tiny_imagenet.tracking.logged_models import REQUIREMENTS, log_keras_file
from tiny_imagenet.tracking.store import connect

DISTRIBUTIONS = {"PIL": "pillow", "ruamel": "ruamel.yaml"}  # of the imports that have another name


def model_folder(root: Path) -> Path:
    """Returns the folder of a project's logged model."""
    (path,) = (root / "mlruns" / "artifacts").rglob("MLmodel")
    return path.parent


@pytest.fixture(scope="module")
def served(trained: Path) -> Any:
    return mlflow.pyfunc.load_model(str(model_folder(trained)))


def picture_file(size: tuple[int, int] = (40, 24), form: str = "JPEG") -> bytes:
    pixels = np.random.default_rng(3).integers(0, 256, (size[1], size[0], 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form)
    return file.getvalue()


def ask(model: Any, **columns: list[Any]) -> list[dict[str, Any]]:
    return [row["top"] for row in model.predict(pd.DataFrame(columns))]


def test_files_of_the_dataset_get_the_evaluations_answers(trained: Path, served: Any) -> None:
    records = trained / "data" / "records"
    manifest = load_manifest(records)
    found = ask(served, image=[each["image/encoded"] for each in iterate_examples(records, manifest, "val")])
    wnids = [each.wnid for each in manifest.classes]
    with np.load(trained / "metrics" / "tiny" / "predictions.npz") as evaluated:
        assert [[wnids.index(each["wnid"]) for each in top] for top in found] == evaluated["top_5"].tolist()
        probabilities = [[each["probability"] for each in top] for top in found]
        np.testing.assert_allclose(probabilities, evaluated["top_5_probability"], rtol=1e-5)


def test_a_picture_of_any_size_gets_the_answer_of_predict(
    trained: Path, served: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "photo.png").write_bytes(picture_file(form="PNG"))
    main(["predict", str(tmp_path / "photo.png"), "--json", "--model", str(trained / "models/tiny/model.keras")])
    expected = json.loads(capsys.readouterr().out)["top"]
    (answer,) = ask(served, image=[picture_file(form="PNG")])
    assert [each["words"] for each in answer] == [each["words"] for each in expected]
    np.testing.assert_allclose(
        [each["probability"] for each in answer], [each["probability"] for each in expected], rtol=1e-5
    )


def test_an_array_is_a_picture_whatever_its_type_and_size(served: Any) -> None:
    with Image.open(io.BytesIO(picture_file(form="PNG"))) as picture:
        pixels = np.asarray(picture)
    (expected,) = ask(served, image=[picture_file(form="PNG")])
    for array in (pixels, pixels.astype(np.float32), pixels.tolist()):
        assert ask(served, pixels=[array]) == [expected]


def test_rows_may_have_files_and_arrays(served: Any) -> None:
    pixels = np.zeros((16, 16, 3), np.uint8)
    mixed = ask(served, image=[picture_file(), None], pixels=[None, pixels])
    for found, alone in zip(mixed, (ask(served, image=[picture_file()]), ask(served, pixels=[pixels])), strict=True):
        assert [each["wnid"] for each in found] == [each["wnid"] for each in alone[0]]


def test_flips_are_averaged_where_the_evaluation_did(
    trained: Path, tmp_path: Path, served: Any, empty_store: Path
) -> None:
    from tiny_imagenet.dataset.model_info import read_model_info
    from tiny_imagenet.evaluation.saved_models import load_model
    from tiny_imagenet.scoring.metrics import log_softmax
    from tiny_imagenet.training.keras_file import save_model

    source, flipped = trained / "models" / "tiny" / "model.keras", tmp_path / "model.keras"
    model, _ = load_model(source)
    save_model(model, read_model_info(source).model_copy(update={"flip_tta": True}), flipped)
    shutil.copytree(empty_store, tmp_path / "mlruns")
    client, experiment_id = connect(tmp_path, "digits")
    run_id = client.create_run(experiment_id).info.run_id
    log_keras_file(run_id, "tiny", flipped, "", {}, 1)
    averaging = mlflow.pyfunc.load_model(str(model_folder(tmp_path)))

    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3)).astype(np.float32)
    logits = model(np.stack([pixels, pixels[:, ::-1]]), training=False).numpy().mean(axis=0, keepdims=True)
    expected = np.sort(np.exp(log_softmax(logits))[0])[::-1]
    found = [each["probability"] for each in ask(averaging, pixels=[pixels])[0]]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert found != [each["probability"] for each in ask(served, pixels=[pixels])[0]]


@pytest.mark.parametrize(
    ("columns", "what"),
    [
        ({"image": [b"no picture"]}, "row 0: is not a picture in a supported format"),
        ({"image": [picture_file(), picture_file()[:300]]}, "row 1: "),
        ({"pixels": [[[1, 2, 3]]]}, "row 0: has neither the bytes of a file in `image` nor an array"),
        ({"pixels": [np.full((16, 16, 3), 256.0)]}, "row 0: has values that are not from 0 to 255"),
    ],
)
def test_a_row_without_a_picture_is_named(served: Any, columns: dict[str, list[Any]], what: str) -> None:
    with pytest.raises(MlflowException, match=what) as refused:
        ask(served, **columns)
    assert refused.value.error_code == "INVALID_PARAMETER_VALUE"


# Imported by MLflow, Keras and TensorFlow themselves.
OF_OTHERS = {"h5py", "jinja2", "markupsafe", "matplotlib", "requests", "scipy", "sklearn", "tqdm", "urllib3"}

PROBE = """
import json, sys, mlflow, pandas
sys.modules |= dict.fromkeys(sys.argv[3:])  # importing one of them is an error
model = mlflow.pyfunc.load_model(sys.argv[1])
model.predict(pandas.DataFrame({"image": [open(sys.argv[2], "rb").read()]}))
print(json.dumps([module.__file__ for name, module in sys.modules.items() if name.startswith("tiny_imagenet.")]))
"""


def test_it_runs_its_own_code_and_requires_all_that_it_imports(trained: Path, tmp_path: Path) -> None:
    """In a process without the checkout: the installed package, if there is one, is not used."""
    (tmp_path / "photo.jpg").write_bytes(picture_file())
    folder = model_folder(trained)
    imported = {name.split(".")[0] for path in folder.rglob("*.py") for name in imports_of(path)}
    required = {"tensorflow", "tiny_imagenet", *REQUIREMENTS}
    others = {each for each in imported - sys.stdlib_module_names if DISTRIBUTIONS.get(each, each) not in required}
    assert "dvc" in others
    command = [sys.executable, "-c", PROBE, str(folder), "photo.jpg", *others - OF_OTHERS]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    files = [Path(each) for each in json.loads(done.stdout.splitlines()[-1])]
    assert files
    assert all(each.is_relative_to(folder / "code") for each in files)
