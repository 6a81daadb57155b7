"""`tiny-imagenet predict` gives evaluation's predictions; an unreadable picture does not stop the others."""

import errno
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest
from tests.support.model_files import change_metadata
from tests.support.tiny_archive import WNIDS
from tests.support.tiny_records import CLASSES, REPOSITORY

from tiny_imagenet.cli.predict import BATCH_SIZE
from tiny_imagenet.dataset.manifest import load_manifest
from tiny_imagenet.images.reader import iterate_examples

NAMES = [f"class {label}" for label in range(len(WNIDS))]
Predictions = list[dict]


@pytest.fixture
def pictures(trained: Path, tmp_path: Path) -> Path:
    """Writes the val images as files, in the records' order."""
    records, folder = trained / "data" / "records", tmp_path / "pictures"
    folder.mkdir()
    for index, example in enumerate(iterate_examples(records, load_manifest(records), "val")):
        (folder / f"{index}.jpg").write_bytes(example["image/encoded"])
    return folder


@pytest.fixture
def predict(trained: Path, run) -> Callable[..., tuple[int, Predictions, list[str]]]:
    """Returns a function that runs the command with `--json`: its status, its predictions and its lines on stderr."""

    def predict(*words: object) -> tuple[int, Predictions, list[str]]:
        status, out, err = run("predict", "--json", "--root", trained, *words)
        return status, [json.loads(line) for line in out.splitlines()], err.splitlines()

    return predict


def test_the_predictions_are_those_of_the_evaluation(trained, pictures, predict) -> None:
    status, predictions, err = predict(pictures)
    with np.load(trained / "metrics" / "tiny" / "predictions.npz") as file:
        top, probabilities = file["top_5"], file["top_5_probability"]
    assert status == 0
    assert [prediction["picture"] for prediction in predictions] == [
        str(pictures / f"{at}.jpg") for at in range(len(top))
    ]
    assert {prediction["model"] for prediction in predictions} == {"tiny"}
    assert [[each["wnid"] for each in prediction["top"]] for prediction in predictions] == [
        [WNIDS[at] for at in row] for row in top
    ]
    assert predictions[0]["top"][0]["words"] == CLASSES[top[0, 0]].words
    found = [[each["probability"] for each in prediction["top"]] for prediction in predictions]
    np.testing.assert_allclose(found, probabilities, rtol=1e-5)
    first, loading, speed = err
    assert first == f"tiny: predicting {pictures} with {trained / 'models' / 'tiny' / 'model.keras'} ..."
    assert loading == "tiny: loading the model ..."
    assert speed.startswith(f"tiny: {len(top)} pictures, ")


def test_more_than_a_batch(pictures, predict) -> None:
    names = [pictures / f"{at % 7}.jpg" for at in range(BATCH_SIZE + 3)]
    _, predictions, _ = predict(*names)
    _, first, _ = predict(pictures)
    assert len(predictions) == len(names)
    for at, prediction in enumerate(predictions):
        assert [each["wnid"] for each in prediction["top"]] == [each["wnid"] for each in first[at % 7]["top"]]


def names(text: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(os.fsencode(text)), encoding="utf-8")


def test_a_name_that_no_file_can_have_does_not_stop_the_others(pictures, predict, monkeypatch) -> None:
    odd = [os.fsdecode(b"K\xf6ter.jpg"), "x" * 300, "a\0b"]
    monkeypatch.setattr(sys, "stdin", names("\n".join([*odd, str(pictures / "1.jpg")])))
    status, predictions, err = predict("-")
    assert (status, [prediction["picture"] for prediction in predictions]) == (2, [str(pictures / "1.jpg")])
    errors = [line for line in err if line.startswith("error: predict: ")]
    assert sorted(line.split(": ")[2] for line in errors) == sorted([r"K\udcf6ter.jpg", "x" * 300, r"a\x00b"])


@pytest.mark.parametrize("method", ["is_dir", "is_file"])
def test_a_folder_without_search_permission_does_not_stop_the_others(pictures, predict, monkeypatch, method) -> None:
    closed, permitted = pictures.parent / "closed", getattr(Path, method)
    closed.mkdir()
    (closed / "a.jpg").touch()

    def refuse(self: Path) -> bool:
        if self.name == "a.jpg":
            raise PermissionError(errno.EACCES, "Permission denied", str(self))
        return permitted(self)

    monkeypatch.setattr(Path, method, refuse)
    named = closed / "a.jpg" if method == "is_dir" else closed
    status, predictions, err = predict(named, pictures / "1.jpg")
    assert (status, len(predictions)) == (2, 1)
    line = f"error: predict: {closed}/a.jpg: cannot be read (Permission denied); check its name and permissions"
    assert line in err


def test_a_list_on_standard_input(pictures, predict, monkeypatch) -> None:
    monkeypatch.setattr(sys, "stdin", names(f"{pictures / '3.jpg'}\n\n{pictures / '1.jpg'}\n"))
    status, predictions, _ = predict("-", pictures / "0.jpg")
    assert status == 0
    assert [Path(prediction["picture"]).name for prediction in predictions] == ["3.jpg", "1.jpg", "0.jpg"]


def test_names_on_standard_input_end_at_line_feeds_only(pictures, predict, run, trained, monkeypatch) -> None:
    odd = pictures / "a\u2028b\x0bc.jpg"
    (pictures / "3.jpg").rename(odd)
    monkeypatch.setattr(sys, "stdin", names(f"{odd}\r\n{pictures / '1.jpg'}\n"))
    status, predictions, _ = predict("-")
    assert (status, [prediction["picture"] for prediction in predictions]) == (0, [str(odd), str(pictures / "1.jpg")])
    assert run("predict", "--root", trained, odd).out.startswith(rf"{pictures}/a\u2028b\x0bc.jpg" + "\n")


def test_files_that_are_left_out_of_a_folder_are_counted(pictures, predict) -> None:
    for name in ("a.heic", "b.HEIC", "c\x1b[2J.txt"):
        (pictures / name).touch()
    status, predictions, err = predict(pictures)
    assert (status, len(predictions)) == (0, 7)
    assert f"note: {pictures}: left out 3 files that are no pictures by their suffix (2 .heic, 1 .txt)" in err[1]
    assert all(line.isprintable() for line in err)


def test_unreadable_pictures_are_reported_and_the_others_predicted(pictures, predict, tmp_path) -> None:
    (pictures / "3.jpg").write_bytes(b"no picture")
    (tmp_path / "empty").mkdir()
    status, predictions, err = predict(tmp_path / "absent.png", pictures, tmp_path / "empty")
    assert status == 2
    assert [Path(prediction["picture"]).name for prediction in predictions] == [
        f"{at}.jpg" for at in (0, 1, 2, 4, 5, 6)
    ]
    assert [line.split(": ")[:3] for line in err[1:4]] == [
        ["error", "predict", str(tmp_path / "empty")],
        ["error", "predict", str(tmp_path / "absent.png")],
        ["error", "predict", str(pictures / "3.jpg")],
    ]
    assert predict(tmp_path / "empty")[:2] == (2, [])


def test_the_table(trained, pictures, run) -> None:
    PIL.Image.new("RGBA", (300, 200), (9, 90, 200, 128)).save(pictures / "large.png")
    status, out, _ = run("predict", "--root", trained, pictures / "large.png")
    assert status == 0
    path, *rows = out.splitlines()
    assert path == str(pictures / "large.png")
    shares = [float(row.split("%")[0]) for row in rows]
    assert sorted(row.split("%  ")[1] for row in rows) == NAMES
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(100, abs=0.2)


def test_the_default_model_is_the_most_accurate(trained, pictures, predict, tmp_path) -> None:
    copy = shutil.copytree(trained, tmp_path / "copy")
    shutil.copytree(copy / "models" / "tiny", copy / "models" / "better")
    (copy / "reports" / "metrics" / "better.json").write_text('{"better": {"top_1_accuracy": 0.99}}')
    shutil.copytree(copy / "models" / "tiny", copy / "models" / "unscored")
    picture = pictures / "0.jpg"
    for words, name in (([], "better"), (["--model", "tiny"], "tiny"), (["--model", "unscored"], "unscored")):
        assert predict("--root", copy, *words, picture)[1][0]["model"] == name


def test_flip_tta_is_applied_as_in_evaluation(trained, pictures, predict, tmp_path) -> None:
    copy = shutil.copytree(trained, tmp_path / "copy")
    change_metadata(copy / "models" / "tiny" / "model.keras", flip_tta=True)
    logits, mirrored = [], tmp_path / "mirrored.png"
    PIL.ImageOps.mirror(PIL.Image.open(pictures / "1.jpg").convert("RGB")).save(mirrored)
    for root in (copy, trained):
        for picture in (pictures / "1.jpg", mirrored):
            (prediction,) = predict("--root", root, picture)[1]
            top = sorted(prediction["top"], key=lambda each: each["wnid"])
            logits.append(np.log([each["probability"] for each in top]))
    averaged, of_mirrored, one, other = (each - each.mean() for each in logits)
    np.testing.assert_allclose(averaged, (one + other) / 2, atol=1e-4)
    np.testing.assert_allclose(averaged, of_mirrored, atol=1e-4)
    assert np.abs(one - other).max() > 1e-3


@pytest.mark.parametrize(
    ("spoil", "words", "message"),
    [
        (None, ["--model", "tin"], "no such trained model; did you mean 'tiny'?"),
        ("models/tiny/model.keras", [], "holds no trained model; run `dvc repro`, or name a checkout with --root"),
    ],
)
def test_a_file_that_the_checkout_lacks(trained, pictures, predict, tmp_path, spoil, words, message) -> None:
    copy = shutil.copytree(trained, tmp_path / "copy")
    if spoil:
        (copy / spoil).unlink()
    status, predictions, err = predict("--root", copy, *words, pictures)
    assert (status, predictions) == (2, [])
    assert message in err[-1]


def test_a_model_file_is_all_that_is_needed(trained, pictures, run, tmp_path, monkeypatch) -> None:
    shutil.copy2(trained / "models" / "tiny" / "model.keras", tmp_path / "mine.keras")
    monkeypatch.chdir(tmp_path)
    alone = run("predict", "--json", "--model", "mine.keras", pictures / "0.jpg")
    assert alone.out == run("predict", "--json", "--root", trained, pictures / "0.jpg").out


def test_as_a_command(trained, pictures) -> None:
    (pictures / "broken.png").write_bytes(b"no picture")
    command = [sys.executable, "-m", "tiny_imagenet", "predict", "--root", trained, pictures]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=REPOSITORY / "src")
    assert result.returncode == 2
    assert len(result.stdout.splitlines()) == 7 * (1 + len(WNIDS))
    first, error, loading, speed = result.stderr.splitlines()  # and nothing of TensorFlow's
    assert loading == "tiny: loading the model ..."
    assert first.startswith(f"tiny: predicting {pictures} with ")
    assert error.startswith(f"error: predict: {pictures / 'broken.png'}: is not a picture")
    assert speed.startswith("tiny: 7 pictures, ")


@pytest.mark.parametrize("words", [["--model", "none", "x.jpg"], ["absent.jpg"]])
def test_tensorflow_is_imported_only_for_a_readable_picture(trained, words) -> None:
    code = "import atexit, runpy, sys; atexit.register(lambda: print({'tensorflow', 'keras'} & {*sys.modules}));"
    code += "runpy.run_module('tiny_imagenet', run_name='__main__', alter_sys=True)"
    command = [sys.executable, "-c", code, "predict", "--root", trained, *words]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=REPOSITORY / "src")
    assert result.stdout.splitlines()[-1] == "set()"
    assert "Traceback" not in result.stderr
    assert result.returncode == 2
