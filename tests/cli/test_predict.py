"""The command's answers are evaluation's, whatever the pictures are called with; what is no picture stops nothing."""

import io
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest
from tests.support.tiny_archive import WNIDS
from tests.support.tiny_records import CLASSES, REPOSITORY

from tiny_imagenet.cli.predict import BATCH, main
from tiny_imagenet.core.errors import InputError
from tiny_imagenet.dataset.manifest import load_manifest
from tiny_imagenet.images.reader import iterate_examples

NAMES = [f"class {label}" for label in range(len(WNIDS))]
Answers = list[dict]


@pytest.fixture
def pictures(trained: Path, tmp_path: Path) -> Path:
    """The val images as files, in the records' order."""
    records, folder = trained / "data" / "records", tmp_path / "pictures"
    folder.mkdir()
    for index, example in enumerate(iterate_examples(records, load_manifest(records), "val")):
        (folder / f"{index}.jpg").write_bytes(example["image/encoded"])
    return folder


@pytest.fixture
def ask(trained: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, Answers, str]]:
    """Runs the command with `--json`; returns its status, its answers and what it says on stderr."""

    def run(*words: object) -> tuple[int, Answers, str]:
        status = main(["--json", "--root", str(trained), *map(str, words)])
        out, err = capsys.readouterr()
        return status, [json.loads(line) for line in out.splitlines()], err

    return run


def test_the_answers_are_those_of_the_evaluation(trained, pictures, ask) -> None:
    status, answers, err = ask(pictures)
    with np.load(trained / "metrics" / "tiny" / "predictions.npz") as file:
        top, probabilities = file["top_5"], file["top_5_probability"]
    assert status == 0
    assert [answer["picture"] for answer in answers] == [str(pictures / f"{at}.jpg") for at in range(len(top))]
    assert {answer["model"] for answer in answers} == {"tiny"}
    assert [[each["wnid"] for each in answer["top"]] for answer in answers] == [
        [WNIDS[at] for at in row] for row in top
    ]
    assert answers[0]["top"][0]["words"] == CLASSES[top[0, 0]].words
    found = [[each["probability"] for each in answer["top"]] for answer in answers]
    np.testing.assert_allclose(found, probabilities, rtol=1e-5)
    assert err.startswith(f"tiny: {len(top)} pictures, ")


def test_more_than_a_batch(pictures, ask) -> None:
    names = [pictures / f"{at % 7}.jpg" for at in range(BATCH + 3)]
    _, answers, _ = ask(*names)
    _, first, _ = ask(pictures)
    assert len(answers) == len(names)
    for at, answer in enumerate(answers):
        assert [each["wnid"] for each in answer["top"]] == [each["wnid"] for each in first[at % 7]["top"]]


def test_a_list_on_standard_input(pictures, ask, monkeypatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{pictures / '3.jpg'}\n\n{pictures / '1.jpg'}\n"))
    status, answers, _ = ask("-", pictures / "0.jpg")
    assert status == 0
    assert [Path(answer["picture"]).name for answer in answers] == ["3.jpg", "1.jpg", "0.jpg"]


def test_what_is_no_picture_is_told_and_the_rest_is_answered(pictures, ask, tmp_path) -> None:
    (pictures / "3.jpg").write_bytes(b"no picture")
    (tmp_path / "empty").mkdir()
    status, answers, err = ask(tmp_path / "absent.png", pictures, tmp_path / "empty")
    assert status == 2
    assert [Path(answer["picture"]).name for answer in answers] == [f"{at}.jpg" for at in (0, 1, 2, 4, 5, 6)]
    assert [line.split(": ")[:3] for line in err.splitlines()[:3]] == [
        ["error", "predict", str(tmp_path / "empty")],
        ["error", "predict", str(tmp_path / "absent.png")],
        ["error", "predict", str(pictures / "3.jpg")],
    ]
    assert ask(tmp_path / "empty")[:2] == (2, [])


def test_the_table(trained, pictures, capsys) -> None:
    PIL.Image.new("RGBA", (300, 200), (9, 90, 200, 128)).save(pictures / "large.png")
    assert main(["--root", str(trained), str(pictures / "large.png")]) == 0
    path, *rows = capsys.readouterr().out.splitlines()
    assert path == str(pictures / "large.png")
    shares = [float(row.split("%")[0]) for row in rows]
    assert sorted(row.split("%  ")[1] for row in rows) == NAMES
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(100, abs=0.2)


def test_the_best_model_is_asked_unless_one_is_named(trained, pictures, ask, tmp_path) -> None:
    copy = shutil.copytree(trained, tmp_path / "copy")
    shutil.copytree(copy / "models" / "tiny", copy / "models" / "better")
    (copy / "metrics" / "better").mkdir()
    (copy / "metrics" / "better" / "evaluation.json").write_text('{"top_1_accuracy": 0.99}')
    shutil.copytree(copy / "models" / "tiny", copy / "models" / "unscored")
    picture = pictures / "0.jpg"
    for words, name in (([], "better"), (["--model", "tiny"], "tiny"), (["--model", "unscored"], "unscored")):
        assert ask("--root", copy, *words, picture)[1][0]["model"] == name


def test_flips_are_averaged_where_they_were_in_the_evaluation(trained, pictures, ask, tmp_path) -> None:
    copy = shutil.copytree(trained, tmp_path / "copy")
    path = copy / "metrics" / "tiny" / "training.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"flip_averaging": True}))
    answers, mirrored = [], tmp_path / "mirrored.png"
    PIL.ImageOps.mirror(PIL.Image.open(pictures / "1.jpg").convert("RGB")).save(mirrored)
    for root in (copy, trained):
        for picture in (pictures / "1.jpg", mirrored):
            (answer,) = ask("--root", root, picture)[1]
            answers.append(
                np.log([each["probability"] for each in sorted(answer["top"], key=lambda each: each["wnid"])])
            )
    averaged, of_mirrored, one, other = (each - each.mean() for each in answers)
    np.testing.assert_allclose(averaged, (one + other) / 2, atol=1e-4)
    np.testing.assert_allclose(averaged, of_mirrored, atol=1e-4)
    assert np.abs(one - other).max() > 1e-3


@pytest.mark.parametrize(
    ("spoil", "words", "message"),
    [
        (None, ["--model", "tin"], "no such trained model; did you mean 'tiny'?"),
        ("models/tiny/model.keras", [], "holds no trained model; run `dvc repro`, or name a checkout with --root"),
        ("models/tiny/run.json", [], "run.json: cannot be read"),
        ("data/records/manifest.json", [], "manifest.json: No such file or directory; run `dvc repro preprocess`"),
    ],
)
def test_what_the_checkout_lacks(trained, pictures, ask, tmp_path, spoil, words, message) -> None:
    copy = shutil.copytree(trained, tmp_path / "copy")
    if spoil:
        (copy / spoil).unlink()
    with pytest.raises(InputError) as caught:
        ask("--root", copy, *words, pictures)
    assert message in str(caught.value)


def test_as_a_command(trained, pictures) -> None:
    (pictures / "broken.png").write_bytes(b"no picture")
    command = [sys.executable, "-m", "tiny_imagenet.cli.predict", "--root", trained, pictures]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=REPOSITORY / "src")
    assert result.returncode == 2
    assert len(result.stdout.splitlines()) == 7 * (1 + len(WNIDS))
    fault, speed = result.stderr.splitlines()  # and nothing of TensorFlow's
    assert fault.startswith(f"error: predict: {pictures / 'broken.png'}: is no picture")
    assert speed.startswith("tiny: 7 pictures, ")


@pytest.mark.parametrize("words", [["--help"], ["--model", "none", "x.jpg"], ["absent.jpg"], []])
def test_tensorflow_is_imported_for_a_picture_only(trained, words) -> None:
    code = "import atexit, runpy, sys; atexit.register(lambda: print({'tensorflow', 'keras'} & {*sys.modules}));"
    code += "runpy.run_module('tiny_imagenet.cli.predict', run_name='__main__', alter_sys=True)"
    command = [sys.executable, "-c", code, "--root", trained, *words]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=REPOSITORY / "src")
    assert result.stdout.splitlines()[-1] == "set()"
    assert "Traceback" not in result.stderr
    assert result.returncode == (0 if words == ["--help"] else 2)
