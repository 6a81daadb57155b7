"""The commands predict, export and pack, on the outputs of the pipeline."""

import io
import json
import re

import numpy as np
import PIL.Image
import pytest
from tests.support.project import CHEAP

from tiny_imagenet.archive.zip_archive import Archive
from tiny_imagenet.cli.pictures import read_picture

pytestmark = pytest.mark.pipeline

MODEL = "vgg"
# A program without this project's code; its last line shows that it has none.
FOREIGN_PROGRAM = """
import sys, warnings
import keras, numpy, tensorflow
images = numpy.load("images.npy")
warnings.simplefilter("ignore")
model = keras.saving.load_model("exports/model.keras", compile=False)
predictions = {"keras": model(images)}
model = tensorflow.saved_model.load("exports/saved_model")
predictions["saved_model"] = model.serve(images)
model = tensorflow.lite.Interpreter("exports/model.tflite").get_signature_runner()
predictions["tflite"] = model(image=images)["output_0"]
numpy.savez("predictions.npz", **predictions)
print([name for name in sys.modules if name.startswith("tiny_imagenet")])
"""


def run(project, *words):
    return project.run("python", "-m", "tiny_imagenet", *map(str, words), PYTHONPATH="src")


@pytest.fixture
def digits(project, tmp_path):
    """Writes the test images as files, and 210 train images in folders of their classes."""
    with Archive(project.folder / "data" / "archive.zip") as archive:
        for name in archive.names:
            path = tmp_path / name
            if name.startswith("test/") or re.fullmatch(r"train/n0000000[012]/images/\w+_[0-6]?[0-9].JPEG", name):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(archive.read(name))
    return tmp_path


def test_predict_and_the_submission_agree(project, digits):
    lines = (project.folder / "models" / MODEL / "submission.txt").read_text().splitlines()
    assert [line.split()[0] for line in lines] == [f"test_{index}.JPEG" for index in range(200)]
    output = run(project, "predict", "--json", "--model", MODEL, digits / "test" / "images")
    predictions = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    found = {prediction["picture"].rpartition("/")[2]: prediction["top"][0]["wnid"] for prediction in predictions}
    assert found == dict(line.split() for line in lines)
    assert len({*found.values()}) > 1


def test_a_foreign_program_loads_the_exported_files(project, digits):
    run(project, "export", MODEL, "--root", project.folder)
    (digits / "exports").symlink_to(project.folder / "exports" / MODEL)
    paths = sorted((digits / "test" / "images").iterdir())[:40]
    np.save(digits / "images.npy", np.stack([read_picture(path, 64) for path in paths]).astype(np.float32))
    (digits / "foreign.py").write_text(FOREIGN_PROGRAM)
    output = project.run("env", "-C", str(digits), "python", "foreign.py")
    assert "[]" in output.splitlines()
    with np.load(digits / "predictions.npz") as predictions:
        expected = predictions["keras"]
        assert {*predictions.files} == {"keras", "saved_model", "tflite"}
        for name in predictions.files:
            np.testing.assert_allclose(predictions[name], expected, atol=1e-4)
            np.testing.assert_array_equal(predictions[name].argmax(axis=1), expected.argmax(axis=1))
    submission = dict(
        line.split() for line in (project.folder / "models" / MODEL / "submission.txt").read_text().splitlines()
    )
    labels = [f"n{label:08}" for label in expected.argmax(axis=1)]
    assert labels == [submission[path.name] for path in paths]
    assert project.changes() == []


def test_own_pictures(workspace, digits):
    modes = {"a.png": "RGBA", "b.gif": "P", "c.jpg": "CMYK", "d.webp": "RGB", "e.tif": "L"}
    for label, name in enumerate(("a zero", "one", "two")):
        (digits / "mine" / name).mkdir(parents=True)
        for index, path in enumerate(sorted((digits / "train" / f"n{label:08}" / "images").iterdir())):
            image = PIL.Image.open(io.BytesIO(path.read_bytes()))
            suffix, mode = list(modes.items())[index % len(modes)]
            image = image.resize((50 + index, 50 + index)).convert(mode)
            image.save(digits / "mine" / name / f"{index}{suffix}")
    out = run(workspace, "pack", digits / "mine", digits / "mine.zip")
    assert "3 classes, 168 train and 42 val images of 64 x 64 pixels" in out
    entry = re.search(r"^  mine:\n    sha256: \w+\n", out, re.MULTILINE).group()
    params = workspace.folder / "params.yaml"
    params.write_text(
        re.sub(r"^(datasets:.*\n)", rf"\1{entry}", params.read_text(encoding="utf-8"), flags=re.MULTILINE)
    )

    changes = [word for change in ("dataset=mine", "epochs=5", "batch_size=10", "lr=0.01") for word in ("-S", change)]
    archive = str(digits / "mine.zip")
    workspace.dvc("exp", "run", *changes, f"evaluate@{CHEAP}", TINY_IMAGENET_ARCHIVE=archive)
    evaluation = workspace.json(f"metrics/{CHEAP}/evaluation.json")
    assert evaluation["num_images"] == 42
    assert evaluation["top_1_accuracy"] > 0.8
    assert (workspace.folder / "models" / CHEAP / "submission.txt").read_text() == ""  # it has no test split

    output = run(workspace, "predict", "--model", CHEAP, digits / "mine" / "a zero" / "0a.png")
    assert re.fullmatch(r" +\d+\.\d%  (a zero|one|two)", output.splitlines()[1])
