"""The files of the report, and the figures of the cost."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path

import pytest
from tests.support.synthetic_results import PUBLISHED, load_model_result, with_training, write_model

from tiny_imagenet.core.schema import Debug
from tiny_imagenet.report.charts import draw_costs
from tiny_imagenet.report.outputs import as_csv, as_json, settings_as_json
from tiny_imagenet.report.results import SCORES, Result

WORDS = ["zero", "one"]


@pytest.fixture
def results(tmp_path: Path) -> list[Result]:
    write_model(tmp_path, "vgg", WORDS, epochs=40, top_1=0.25)
    write_model(tmp_path, "small", WORDS, epochs=1, top_1=0.2)
    return [load_model_result(tmp_path, "vgg", PUBLISHED), load_model_result(tmp_path, "small")]


def test_results_json_is_strict_and_complete(results: list[Result]) -> None:
    objects = json.loads(as_json(results), parse_constant=pytest.fail)
    expected = {
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
        "train_flops": 2_376_000_000_000_000,
        "device": "CPU (2 cores)",
        "seeds": [1],
        "over_seeds": None,
        "flip_averaging": False,
        "pretrained": None,
        "published": PUBLISHED.model_dump(),
        "published_flops": 6 * 99e6 * 4e6,
    }
    assert objects[0].items() >= expected.items()
    assert objects[0].keys() == expected.keys() | {score.key for score in SCORES}
    assert objects[1]["published"] is objects[1]["published_flops"] is None


def test_a_debug_run_is_marked_in_results_and_settings(results: list[Result]) -> None:
    debug = with_training(results[1], debug=Debug(steps=3))
    for text in (as_json([debug]), settings_as_json([debug])):
        found = json.loads(text)
        assert (found[0] if isinstance(found, list) else found["small"])["debug"] == {"steps": 3}
    assert '"debug"' not in as_json(results) + settings_as_json(results)


def test_results_json_has_the_spread_over_seeds(tmp_path: Path) -> None:
    for seed, top_1 in ((1, 0.2), (2, 0.3)):
        write_model(tmp_path, f"m{seed}", WORDS, top_1=top_1)
    results = [load_model_result(tmp_path, f"m{seed}", seed=seed, flip_tta=True) for seed in (1, 2)]
    objects = json.loads(as_json(results))
    assert [each["over_seeds"]["models"] for each in objects] == [["m1", "m2"]] * 2
    assert objects[0]["over_seeds"]["top_1_accuracy"]["mean"] == pytest.approx(0.25)
    assert [each["flip_averaging"] for each in objects] == [True, True]


def test_a_published_point_straight_above_the_models_own_has_no_label(tmp_path: Path) -> None:
    write_model(tmp_path, "full", WORDS)
    write_model(tmp_path, "short", WORDS)
    short = load_model_result(tmp_path, "short", PUBLISHED, train_flops=6 * 10**13)
    figures = draw_costs([load_model_result(tmp_path, "full", PUBLISHED), short])
    texts = [text.get_text() for text in figures["compute"].axes[0].texts]
    assert sorted(texts) == ["full", "short", "short"]
    assert sorted(text.get_text() for text in figures["time"].axes[0].texts) == ["full", "short"]


def test_a_model_without_a_known_time_is_not_in_the_figure_of_time(results: list[Result]) -> None:
    unknown = [dataclasses.replace(result, train_seconds=None) for result in results]
    texts = [text.get_text() for text in draw_costs([results[0], unknown[1]])["time"].axes[0].texts]
    assert texts == ["vgg"]
    assert set(draw_costs(unknown)) == {"compute"}
    assert json.loads(as_json(unknown))[0]["train_seconds"] is None


def test_history_csv_has_seconds_only_where_a_model_has_them(results: list[Result]) -> None:
    vgg, small = results
    rows = list(csv.DictReader(as_csv(results).splitlines()))
    assert [row["model"] for row in rows] == ["vgg"] * 40 + ["small"]
    assert list(rows[0])[:3] == ["model", "epoch", "lr"]
    assert "seconds" not in rows[0]
    timed = dataclasses.replace(small, history=[epoch.model_copy(update={"seconds": 4.5}) for epoch in small.history])
    rows = list(csv.DictReader(as_csv([vgg, timed]).splitlines()))
    assert [rows[0]["seconds"], rows[-1]["seconds"]] == ["", "4.5"]
