"""The results as they are read, compared, written and shown."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from tests.support.synthetic_results import write_model
from tiny_imagenet.report.reporting import as_json, best, draw_costs

from tiny_imagenet.core.errors import InputError, PipelineError
from tiny_imagenet.report.results import TRAIN_FLOPS_PER_MAC, Result, load_result
from tiny_imagenet.training import model_summary

PUBLISHED = {"loss": 3.98, "top_1_accuracy": 0.245, "top_5_accuracy": 0.488, "images_seen": 4_000_000}
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


def test_standard_error_is_that_of_a_share_of_n_images(results: list[Result]) -> None:
    assert results[0].standard_error("top_1_accuracy") == pytest.approx(math.sqrt(0.25 * 0.75 / 10_000))


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
        "over_seeds": None,
        "flip_averaging": False,
        "pretrained": None,
        "published": PUBLISHED,
        "published_flops": 6 * 99e6 * 4e6,
    }
    assert objects[1]["published"] is objects[1]["published_flops"] is None


def test_results_json_tells_what_seeds_say_together(tmp_path: Path) -> None:
    for seed, top_1 in ((1, 0.2), (2, 0.3)):
        write_model(tmp_path, f"m{seed}", WORDS, top_1=top_1)
        change(tmp_path / f"metrics/m{seed}/training.json", seed=seed, flip_averaging=True)
    objects = json.loads(as_json([load(tmp_path, "m1"), load(tmp_path, "m2")]))
    assert [each["over_seeds"]["models"] for each in objects] == [["m1", "m2"]] * 2
    assert objects[0]["over_seeds"]["top_1_accuracy"]["mean"] == pytest.approx(0.25)
    assert [each["flip_averaging"] for each in objects] == [True, True]


def test_the_published_cost_is_counted_as_ours_is(results: list[Result]) -> None:
    assert TRAIN_FLOPS_PER_MAC == model_summary.TRAIN_FLOPS_PER_MAC
    assert results[0].published_flops == results[0].training["train_flops"]
    assert results[1].published_flops is None


def test_cost_figures_label_a_published_point_only_away_from_the_models_own(tmp_path: Path) -> None:
    write_model(tmp_path, "full", WORDS)
    write_model(tmp_path, "short", WORDS)
    change(tmp_path / "metrics/short/training.json", train_flops=6e13)
    figures = draw_costs([load(tmp_path, name, PUBLISHED) for name in ("full", "short")])
    texts = [text.get_text() for text in figures["compute"].axes[0].texts]
    assert sorted(texts) == ["full", "short", "short"]
    assert sorted(text.get_text() for text in figures["time"].axes[0].texts) == ["full", "short"]


def test_best_is_the_highest_top_1(results: list[Result]) -> None:
    assert best(results[::-1]).model == "vgg"


def test_best_is_a_pretrained_model_only_among_its_like(tmp_path: Path, results: list[Result]) -> None:
    change(tmp_path / "metrics/vgg/training.json", pretrained="imagenet")
    pretrained = load(tmp_path, "vgg")
    assert best([pretrained, results[1]]).model == "small"
    assert best([pretrained]).model == "vgg"


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
