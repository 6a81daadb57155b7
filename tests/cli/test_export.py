"""`tiny-imagenet export`: exported files predict as the trained model, and are written all or none."""

import csv
import dataclasses
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from tests.support.model_files import change_metadata
from tests.support.tiny_archive import SIZE
from tests.support.tiny_records import CLASSES, REPOSITORY

from tiny_imagenet.cli import export
from tiny_imagenet.cli.export_formats import FORMATS, as_float32
from tiny_imagenet.core.errors import PipelineError
from tiny_imagenet.training.model import build_model

IMAGES = np.random.default_rng(0).uniform(0, 255, (5, 32, 32, 3)).astype(np.float32)
RESNET = {"architecture": "resnet", "widths": (8, 16), "depths": (1, 1)}  # takes images of any size
VGG = {"architecture": "vgg", "filters": (4, 8), "hidden_units": 8}


def build(arguments: dict, policy: str = "float32") -> keras.Model:
    keras.config.set_dtype_policy(policy)
    try:
        return build_model(image_size=32, num_classes=7, dropout=0.2, l2=1e-4, seed=1, **arguments)
    finally:
        keras.config.set_dtype_policy("float32")


@pytest.fixture
def project(trained: Path, tmp_path: Path) -> Path:
    return shutil.copytree(trained, tmp_path / "project")


@pytest.mark.parametrize("architecture", [RESNET, VGG], ids=["resnet", "vgg"])
@pytest.mark.parametrize("name", FORMATS)
def test_each_format_predicts_as_the_model(tmp_path: Path, name: str, architecture: dict) -> None:
    model, form = build(architecture), FORMATS[name]
    if not form.is_installed:
        pytest.skip(f"needs {' and '.join(form.packages)}")
    form.write(model, tmp_path / form.file, 32)
    predict = form.open(tmp_path / form.file)
    for count in (5, 1, 3):
        found = predict(IMAGES[:count])
        assert (found.dtype, found.shape) == (np.float32, (count, 7))
        np.testing.assert_allclose(found, model(IMAGES[:count]), atol=1e-5)


@pytest.mark.parametrize("architecture", [RESNET, VGG], ids=["resnet", "vgg"])
def test_a_mixed_precision_model_is_exported_in_float32(tmp_path: Path, architecture: dict) -> None:
    mixed, float32 = build(architecture, "mixed_bfloat16"), build(architecture)
    assert "bfloat16" in {layer.compute_dtype for layer in mixed.layers}
    float32.set_weights(mixed.get_weights())
    model = as_float32(mixed)
    np.testing.assert_array_equal(model(IMAGES), float32(IMAGES))
    form = FORMATS["tflite"]
    form.write(model, tmp_path / form.file, 32)
    np.testing.assert_allclose(form.open(tmp_path / form.file)(IMAGES), float32(IMAGES), atol=1e-5)
    assert as_float32(float32) is float32


def test_the_folder(project: Path, run) -> None:
    status, out, err = run("export", "tiny", "--root", project)
    model = project / "models" / "tiny" / "model.keras"
    first = f"tiny: exporting {model} as model.keras, saved_model, model.tflite ..."
    assert (status, err.splitlines()) == (0, [first, "tiny: loading the model ..."])
    folder = project / "exports" / "tiny"
    names = {path.name for path in folder.iterdir()}
    files = {form.file for form in FORMATS.values() if form.is_installed}
    assert names == {"README.md", "classes.csv", *files}
    assert files >= {"model.keras", "model.tflite", "saved_model"}
    page = (folder / "README.md").read_text()
    assert out == page
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("|")]
    assert [row[0] for row in rows[2:]] == [form.file for form in FORMATS.values() if form.is_installed]
    for file, megabytes, milliseconds, speed, difference in rows[2:]:
        parts = [path for path in [folder / file, *(folder / file).rglob("*")] if path.is_file()]
        assert float(megabytes) == pytest.approx(sum(path.stat().st_size for path in parts) / 1e6, abs=0.006)
        assert float(milliseconds) >= 0
        assert float(speed.replace(",", "")) > 0
        assert float(difference) <= export.TOLERANCE
    assert f"`(images, {SIZE}, {SIZE}, 3)`" in page
    with (folder / "classes.csv").open(newline="") as file:
        found = [(row["label"], row["wnid"], row["words"]) for row in csv.DictReader(file)]
    assert found == [(str(label), each.wnid, each.words) for label, each in enumerate(CLASSES)]


def test_a_format_whose_packages_are_missing_is_one_line(project: Path, run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FORMATS, "onnx", dataclasses.replace(FORMATS["onnx"], packages=("no_such_package",)))
    status, out, err = run("export", "tiny", "--root", project, "--format", "onnx")
    assert (status, out) == (2, "")
    assert err.startswith("error: export: --format onnx: needs the packages no_such_package; install them with ")


@pytest.mark.parametrize("flip_tta", [True, False])
def test_the_readme_mentions_flip_tta(project: Path, run, flip_tta: bool) -> None:
    change_metadata(project / "models" / "tiny" / "model.keras", flip_tta=flip_tta)
    out = run("export", "tiny", "--root", project, "--format", "keras").out
    paragraph = out.partition("# tiny\n\n")[2].partition("\n\n")[0].splitlines()
    assert len(paragraph) == 3 + flip_tta
    assert ("mirror image" in paragraph[-1]) is flip_tta


def test_the_readme_mentions_the_conversion_to_float32(project: Path, run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "bfloat16" not in run("export", "tiny", "--root", project, "--format", "keras").out
    monkeypatch.setattr(export, "as_float32", keras.models.clone_model)
    out = run("export", "tiny", "--root", project, "--format", "keras").out
    assert "generated images, both in float32\n(it was trained in mixed_bfloat16). tensorflow " in out


def test_only_the_requested_formats_are_written(project: Path, run) -> None:
    run("export", "tiny", "--root", project, "--format", "saved_model", "keras")
    names = {path.name for path in (project / "exports" / "tiny").iterdir()}
    assert names == {"README.md", "classes.csv", "model.keras", "saved_model"}


def test_a_file_that_predicts_differently_is_not_published(project: Path, run, monkeypatch: pytest.MonkeyPatch) -> None:
    run("export", "tiny", "--root", project, "--format", "keras")
    before = (project / "exports" / "tiny" / "README.md").read_bytes()

    def write_wrong(model: keras.Model, path: Path, image_size: int) -> None:
        other = keras.models.clone_model(model)
        other.set_weights([weights * 1.01 + 0.01 for weights in model.get_weights()])
        other.save(path)

    monkeypatch.setitem(FORMATS, "keras", dataclasses.replace(FORMATS["keras"], write=write_wrong))
    status, _, err = run("export", "tiny", "--root", project, "--format", "keras")
    assert status == 1
    assert err.splitlines()[-1].startswith(
        "error: export: model.keras: predictions differ from the trained model's (by "
    )
    assert [path.name for path in (project / "exports").iterdir()] == ["tiny"]
    assert (project / "exports" / "tiny" / "README.md").read_bytes() == before


def test_a_failed_conversion_is_one_line(tmp_path: Path) -> None:
    model = build(VGG, "mixed_bfloat16")
    with pytest.raises(PipelineError, match=r"model.tflite: cannot be converted .*; leave tflite out"):
        FORMATS["tflite"].write(model, tmp_path / "model.tflite", 32)


@pytest.mark.parametrize("name", ["tflite", "onnx"])
def test_a_failed_conversion_without_a_message_is_one_line(tmp_path: Path, monkeypatch, name: str) -> None:
    def fail(*_, **__) -> None:
        raise AssertionError

    monkeypatch.setattr(keras.Model, "export", fail)
    with pytest.raises(PipelineError, match=r"cannot be converted \(AssertionError\)"):
        FORMATS[name].write(build(VGG), tmp_path / "file", 32)


def test_no_such_model(project: Path, run) -> None:
    status, _, err = run("export", "tinny", "--root", project)
    assert status == 2
    assert err.endswith("no such trained model; did you mean 'tiny'?\n")


def test_a_wrong_name_does_not_import_tensorflow(project: Path) -> None:
    code = "import atexit, runpy, sys; atexit.register(lambda: print({'tensorflow', 'keras'} & {*sys.modules}));"
    code += "runpy.run_module('tiny_imagenet', run_name='__main__', alter_sys=True)"
    command = [sys.executable, "-c", code, "export", "--root", project, "tinny"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=REPOSITORY / "src")
    assert (result.returncode, result.stdout) == (2, "set()\n")
    assert result.stderr.startswith("error: export: ")
