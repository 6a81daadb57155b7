"""Groups of models that differ by the seed alone, and their spread."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.synthetic_results import load_model_result, write_model

from tiny_imagenet.report.results import Result
from tiny_imagenet.report.seeds import Spread, group_by_seed, repeated


def result(folder: Path, name: str, top_1: float, **training: object) -> Result:
    write_model(folder, name, ["zero", "one"], top_1=top_1)
    return load_model_result(folder, name, **training)


def test_spread_is_that_of_a_sample() -> None:
    spread = Spread.of([0.1, 0.2, 0.3])
    assert spread.mean == pytest.approx(0.2)
    assert spread.standard_deviation == pytest.approx(0.1)
    assert spread.standard_error == pytest.approx(0.1 / 3**0.5)
    assert spread.low == pytest.approx(0.2 - 0.2 / 3**0.5)


def test_models_that_differ_by_the_seed_alone_are_a_group(tmp_path: Path) -> None:
    results = [
        result(tmp_path, "a", 0.10),
        result(tmp_path, "b", 0.20, lr=0.02),
        result(tmp_path, "a_2", 0.12, seed=2, train_seconds=9.0, device="GPU", data_sha256=""),
        result(tmp_path, "a_3", 0.14, seed=3),
        result(tmp_path, "wider", 0.30, seed=2, arguments={"width": 2}),
    ]
    assert [[each.model for each in group.results] for group in group_by_seed(results)] == [
        ["a", "a_2", "a_3"],
        ["b"],
        ["wider"],
    ]
    (group,) = repeated(results)
    assert (group.name, group.seeds) == ("a", [1, 2, 3])
    row = group.as_row()
    assert row["models"] == ["a", "a_2", "a_3"]
    assert row["top_1_accuracy"] == pytest.approx(
        {
            "mean": 0.12,
            "standard_deviation": 0.02,
            "standard_error": 0.02 / 3**0.5,
            "mean_less_2_standard_errors": 0.12 - 0.04 / 3**0.5,
        }
    )
    assert row["top_5_accuracy"]["mean"] == pytest.approx(0.24)


def test_the_same_training_under_two_names_counts_once(tmp_path: Path) -> None:
    results = [result(tmp_path, "a", 0.1), result(tmp_path, "again", 0.1)]
    assert [[each.model for each in group.results] for group in group_by_seed(results)] == [["a"]]
    assert repeated(results) == []
