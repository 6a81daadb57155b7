"""The results as they are read, compared, written and shown."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from tests.synthetic_results import write_model

from tiny_imagenet.errors import InputError, PipelineError
from tiny_imagenet.reporting import as_json, as_markdown, as_text, best, comparison, duration
from tiny_imagenet.results import Result, load_result

PUBLISHED = {"loss": 3.98, "top_1_accuracy": 0.245, "top_5_accuracy": 0.488}
WORDS = ["zero", "one"]


def load(root: Path, model: str, published: dict[str, float] | None = None) -> Result:
    return load_result(model, root / "metrics" / model, published)


@pytest.fixture
def results(tmp_path: Path) -> list[Result]:
    write_model(tmp_path, "vgg", WORDS, epochs=40, top_1=0.25)
    write_model(tmp_path, "small", WORDS, epochs=1, top_1=0.2)
    return [load(tmp_path, "vgg", PUBLISHED), load(tmp_path, "small")]


def change(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_table_compares_with_the_published_values(results: list[Result]) -> None:
    table = comparison(results)
    vgg, small = (dict(zip(table.headers, row, strict=True)) for row in table.rows)
    assert vgg == {
        "model": "vgg",
        "top-1 %": "25.00",
        "published top-1 %": "24.5",
        "difference top-1": "+0.50 ± 0.43",
        "top-5 %": "50.00",
        "published top-5 %": "48.8",
        "difference top-5": "+1.20 ± 0.50",
        "loss": "3.500",
        "objective": "4.000",
        "published objective": "3.98",
        "epochs": "40 of 40",
        "parameters": "4,000,000",
        "training time": "1 h 02 min",
        "training compute": "2.38 PFLOP",
        "device": "CPU (2 cores)",
    }
    assert small["top-1 %"] == "20.00 ± 0.40"
    assert small["published top-1 %"] == small["difference top-1"] == small["published objective"] == "–"
    assert small["epochs"] == "1 of 40 *"
    assert any("compare that" in note for note in table.notes)
    assert any(note.startswith("* Trained for fewer epochs") for note in table.notes)


def test_standard_error_is_that_of_a_share_of_n_images(results: list[Result]) -> None:
    assert results[0].standard_error("top_1_accuracy") == pytest.approx(math.sqrt(0.25 * 0.75 / 10_000))


def test_without_a_published_table_its_columns_are_left_out(results: list[Result]) -> None:
    table = comparison(results[1:])
    assert not [header for header in table.headers if header.startswith(("published", "difference"))]
    assert not [note for note in table.notes if "published" in note]


def test_markdown_and_text_hold_every_cell(results: list[Result]) -> None:
    table = comparison(results)
    text, lines = as_text(table), as_markdown(table).splitlines()
    assert lines[2].startswith("| vgg | 25.00 | 24.5 | +0.50 ± 0.43 | 50.00 |")
    assert "1 of 40 \\*" in lines[3]
    assert len({line.replace("\\|", "").count("|") for line in lines[:4]}) == 1
    for row in table.rows:
        assert all(cell in text for cell in row)


def test_markdown_escapes(results: list[Result]) -> None:
    table = comparison([*results[:1], Result(**{**vars(results[1]), "model": "a|b<script>"})])
    assert "| a\\|b&lt;script> |" in as_markdown(table)


def test_results_json_is_strict_and_complete(results: list[Result]) -> None:
    objects = json.loads(as_json(results), parse_constant=pytest.fail)
    assert objects[0] == {
        "model": "vgg",
        "recipe": "paper",
        "dataset": "digits",
        "epochs": 40,
        "top_1_accuracy": 0.25,
        "top_5_accuracy": 0.5,
        "loss": 3.5,
        "objective": 4.0,
        "num_parameters": 4_000_000,
        "train_seconds": 3725.0,
        "train_flops": 2.376e15,
        "device": "CPU (2 cores)",
        "seeds": [1],
        "published": PUBLISHED,
    }
    assert objects[1]["published"] is None


def test_best_is_the_highest_top_1(results: list[Result]) -> None:
    assert best(results[::-1]).model == "vgg"


@pytest.mark.parametrize(
    ("seconds", "text"), [(3.2, "3 s"), (59.7, "1 min 00 s"), (723, "12 min 03 s"), (11100, "3 h 05 min")]
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_metric_that_is_no_number_is_refused(tmp_path: Path, value: float) -> None:
    write_model(tmp_path, "vgg", WORDS)
    change(tmp_path / "metrics/vgg/evaluation.json", top_1_accuracy=value)
    with pytest.raises(
        PipelineError, match=r"evaluation\.json: top_1_accuracy of the model 'vgg' is (nan|inf)"
    ) as error:
        load(tmp_path, "vgg")
    assert error.value.exit_status == 1


def test_nan_in_a_csv_is_refused(tmp_path: Path) -> None:
    write_model(tmp_path, "vgg", WORDS)
    path = tmp_path / "metrics/vgg/history.csv"
    path.write_text(path.read_text().replace("3.5", "nan"))
    with pytest.raises(PipelineError, match=r"history\.csv: val_loss of the model 'vgg' is nan"):
        load(tmp_path, "vgg")


@pytest.mark.parametrize(
    "name", ["evaluation.json", "training.json", "history.csv", "per_class.csv", "calibration.csv"]
)
def test_a_missing_or_empty_result_names_the_model(tmp_path: Path, name: str) -> None:
    write_model(tmp_path, "vgg", WORDS)
    path = tmp_path / "metrics/vgg" / name
    path.write_bytes(b"")
    with pytest.raises(InputError, match=rf"{name}: results of the model 'vgg': .*run `dvc repro`"):
        load(tmp_path, "vgg")
    path.unlink()
    with pytest.raises(InputError, match=rf"{name}: no results of the model 'vgg'; run `dvc repro`"):
        load(tmp_path, "vgg")


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"top_1_accuracy": 25.0}, "top_1_accuracy is 25.0, not a fraction"),
        ({"loss": "low"}, "loss is 'low', not a number"),
        ({"ece": None}, "ece is None, not a number"),
    ],
)
def test_a_damaged_value_is_named(tmp_path: Path, changes: dict[str, object], what: str) -> None:
    write_model(tmp_path, "vgg", WORDS)
    change(tmp_path / "metrics/vgg/evaluation.json", **changes)
    with pytest.raises(InputError, match=what):
        load(tmp_path, "vgg")


def test_a_cut_csv_is_named(tmp_path: Path) -> None:
    write_model(tmp_path, "vgg", WORDS)
    path = tmp_path / "metrics/vgg/per_class.csv"
    path.write_text(path.read_text()[:-20])
    with pytest.raises(InputError, match=r"per_class\.csv: results of the model 'vgg': line 3 is cut"):
        load(tmp_path, "vgg")


def test_a_class_may_be_called_nan(tmp_path: Path) -> None:
    write_model(tmp_path, "vgg", ["nan", "1e5"])
    assert [row["words"] for row in load(tmp_path, "vgg").per_class] == ["nan", "1e5"]
