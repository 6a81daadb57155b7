"""The files of a model's results: what is read, and one line for each fault."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from tests.support.synthetic_results import PUBLISHED, change_json, load_model_result, write_model, write_records

from tiny_imagenet.core.errors import InputError, PipelineError
from tiny_imagenet.core.schema import Published
from tiny_imagenet.dataset.manifest import load_manifest
from tiny_imagenet.evaluation.metrics import METRICS
from tiny_imagenet.report.result_files import load_result
from tiny_imagenet.report.results import Result, best_result, publish
from tiny_imagenet.scoring.flops import TRAIN_FLOPS_PER_MAC
from tiny_imagenet.scoring.metrics import TOP_1, Metric

WORDS = ["zero", "one"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a model `vgg`."""
    write_model(tmp_path, "vgg", WORDS, epochs=2)
    return tmp_path


def load(folder: Path) -> Result:
    return load_model_result(folder, "vgg", PUBLISHED)


def test_every_metric_of_the_evaluation_is_read(folder: Path) -> None:
    result = load(folder)
    expected = {"loss": 3.5, "top_1_accuracy": 0.25, "top_5_accuracy": 0.5, "objective": 4.0, "ece": 0.05}
    assert {metric.key: result.value(metric) for metric in METRICS}.items() >= expected.items()
    assert result.evaluation.split == "val"


def test_standard_error_is_that_of_a_fraction_of_n_images(folder: Path) -> None:
    assert load(folder).standard_error(TOP_1) == pytest.approx(math.sqrt(0.25 * 0.75 / 10_000))


def test_the_published_cost_is_counted_as_ours_is(folder: Path) -> None:
    result = load(folder)
    assert result.published_flops == TRAIN_FLOPS_PER_MAC * 99e6 * 4e6 == result.training.train_flops
    assert load_model_result(folder, "vgg").published_flops is None


def test_the_published_trainings_saw_train_and_hold_out(tmp_path: Path) -> None:
    write_records(tmp_path / "records", WORDS, images_per_class=3, splits=("train", "val", "holdout"))
    row = Published(**PUBLISHED.model_dump(exclude={"images_seen"}))
    rows = publish({"vgg": row}, load_manifest(tmp_path / "records"))
    assert rows["vgg"] == PUBLISHED.model_copy(update={"images_seen": 40 * 2 * 6})


def test_files_of_earlier_versions_are_read(folder: Path) -> None:
    """Their training.json has the time and other keys, their history.csv the seconds of each epoch."""
    old = {"warmup": 0.2, "flip_averaging": True, "train_seconds": 9.0, "images_per_second": 7.0}
    path = folder / "metrics/vgg/training.json"
    change_json(path, **old)
    text = path.read_text().replace('"warmup_fraction": 0.0, ', "").replace('"flip_tta": false, ', "")
    path.write_text(text.replace(', "data_sha256": "' + "ab" * 32 + '"', ""))
    path = folder / "metrics/vgg/history.csv"
    header, *rows = path.read_text().splitlines()
    path.write_text("\n".join([header + ",seconds,images_per_second", *(row + ",4.5,7.0" for row in rows)]))
    result = load(folder)
    assert (result.train_seconds, result.training.warmup_fraction, result.training.flip_tta) == (9.0, 0.2, True)
    assert [epoch.seconds for epoch in result.history] == [4.5, 4.5]


def test_best_is_the_highest_top_1(tmp_path: Path) -> None:
    write_model(tmp_path, "small", WORDS, top_1=0.2)
    write_model(tmp_path, "vgg", WORDS, top_1=0.25)
    small, vgg = (load_model_result(tmp_path, name) for name in ("small", "vgg"))
    assert best_result([small, vgg]).model == "vgg"
    pretrained = load_model_result(tmp_path, "vgg", pretrained="imagenet")
    assert best_result([pretrained, small]).model == "small"
    assert best_result([pretrained]).model == "vgg"
    debug = load_model_result(tmp_path, "vgg", debug={"steps": 3}, pretrained=None)
    assert best_result([debug, small]).model == "small"
    assert best_result([debug]).model == "vgg"


def test_a_debug_run_has_no_published_row_beside_it(folder: Path) -> None:
    assert load_model_result(folder, "vgg", PUBLISHED).published == PUBLISHED
    assert load_model_result(folder, "vgg", PUBLISHED, debug={"steps": 3}).published is None


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_metric_that_is_not_finite_is_refused(folder: Path, value: float) -> None:
    change_json(folder / "metrics/vgg/evaluation.json", top_1_accuracy=value)
    line = r"evaluation\.json: top_1_accuracy of the model 'vgg' is (nan|inf); train it again, with a lower lr"
    with pytest.raises(PipelineError, match=line) as error:
        load(folder)
    assert error.value.exit_status == 1


def test_nan_in_a_csv_is_refused(folder: Path) -> None:
    path = folder / "metrics/vgg/history.csv"
    path.write_text(path.read_text().replace("3.5", "nan"))
    with pytest.raises(PipelineError, match=r"history\.csv: val_loss of the model 'vgg' is nan"):
        load(folder)


@pytest.mark.parametrize(
    "name", ["evaluation.json", "architecture.json", "history.csv", "per_class.csv", "calibration.csv"]
)
def test_a_missing_or_empty_file_names_the_model(folder: Path, name: str) -> None:
    path = folder / "metrics/vgg" / name
    path.write_bytes(b"")
    with pytest.raises(InputError, match=rf"{name}: results of the model 'vgg': .*run `dvc repro`"):
        load(folder)
    path.unlink()
    with pytest.raises(InputError, match=rf"{name}: no results of the model 'vgg'; run `dvc repro`"):
        load(folder)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "is not valid JSON"),
        (b"[]", "is not a JSON object"),
        (b"{}", "lacks 'optimizer'"),
        (b"\xff", "cannot be read"),
    ],
)
def test_a_damaged_training_record_is_one_line(folder: Path, content: bytes, what: str) -> None:
    path = folder / "metrics/vgg/training.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"training\.json: results of the model 'vgg': {what}.*; delete the file"):
        load_result("vgg", path.parent)
    path.unlink()
    with pytest.raises(InputError, match=r"training\.json: no results of the model 'vgg'; run `dvc repro`"):
        load_result("vgg", path.parent)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"top_1_accuracy": 25.0}, "top_1_accuracy is 25.0, not a fraction"),
        ({"loss": "low"}, "loss is 'low', not a number"),
        ({"loss": "3.5"}, "loss is '3.5', not a number"),
        ({"ece": None}, "ece is None, not a number"),
    ],
)
def test_a_damaged_value_is_named(folder: Path, changes: dict[str, object], what: str) -> None:
    change_json(folder / "metrics/vgg/evaluation.json", **changes)
    with pytest.raises(InputError, match=what):
        load(folder)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.key)
def test_a_missing_metric_is_named(folder: Path, metric: Metric) -> None:
    path = folder / "metrics/vgg/evaluation.json"
    path.write_text(path.read_text().replace(f'"{metric.key}"', '"other"'))
    with pytest.raises(InputError, match=f"lacks '{metric.key}'"):
        load(folder)


def test_a_number_in_a_csv_that_is_none_is_named(folder: Path) -> None:
    path = folder / "metrics/vgg/history.csv"
    path.write_text(path.read_text().replace("3.5", "low"))
    with pytest.raises(InputError, match="val_loss is 'low', not a number"):
        load(folder)


def test_a_cut_csv_is_named(folder: Path) -> None:
    path = folder / "metrics/vgg/per_class.csv"
    path.write_text(path.read_text()[:-20])
    with pytest.raises(InputError, match=r"per_class\.csv: results of the model 'vgg': line 3 is cut"):
        load(folder)


def test_a_csv_without_rows_is_refused(folder: Path) -> None:
    path = folder / "metrics/vgg/calibration.csv"
    path.write_text(path.read_text().splitlines()[0] + "\n")
    with pytest.raises(InputError, match=r"calibration\.csv: results of the model 'vgg': holds no rows"):
        load(folder)


def test_a_class_without_images_has_no_accuracy(folder: Path) -> None:
    path = folder / "metrics/vgg/per_class.csv"
    header, first, _ = path.read_text().splitlines()
    path.write_text("\n".join([header, first, "n00000001,one,0,,,,0"]))
    last = load(folder).per_class[-1]
    assert (last.top_1_accuracy, last.top_5_accuracy, last.most_confused_with) == (None, None, "")


def test_control_characters_in_a_class_are_refused(folder: Path) -> None:
    path = folder / "metrics/vgg/per_class.csv"
    path.write_text(path.read_text().replace("one", "one\x1b[2J", 1))
    with pytest.raises(InputError, match=r"per_class\.csv") as caught:
        load(folder)
    assert str(caught.value).isprintable()


def test_a_class_may_be_named_nan(tmp_path: Path) -> None:
    write_model(tmp_path, "vgg", ["nan", "1e5"])
    assert [row.words for row in load(tmp_path).per_class] == ["nan", "1e5"]
