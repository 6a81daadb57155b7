"""The sentences follow the numbers."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from tests.support.synthetic_page import NAMES, RIGHT, load_results, predict
from tests.support.synthetic_results import with_training

from tiny_imagenet.core.schema import Augmentation
from tiny_imagenet.report.discussion import Remark, discuss, overconfidence
from tiny_imagenet.report.formats import points
from tiny_imagenet.report.mistakes import confused_pairs
from tiny_imagenet.report.results import CalibrationBin, Result

PREDICTIONS = {name: predict(right) for name, right in RIGHT.items()}


def remarks(results: list[Result], best: int = -1) -> dict[str, Remark]:
    pairs = confused_pairs(PREDICTIONS["large"], 12, 3)
    return {each.heading: each for each in discuss(results, results[best], PREDICTIONS, NAMES, pairs)}


@pytest.fixture
def results(tmp_path: Path) -> list[Result]:
    return load_results(tmp_path)


def test_each_step_of_the_ranking_has_its_error(results: list[Result]) -> None:
    ranking = remarks(results)["Which is better"]
    assert ranking.sentences == ["Each model is above the next by more than two standard errors."]
    assert ranking.table
    assert ranking.table.rows[0] == ["large", "vgg", "+30.00 ± 4.20", "7.1"]


def test_a_difference_that_is_not_significant_is_named(results: list[Result]) -> None:
    twin = dataclasses.replace(with_training(results[1], lr=9.0), model="twin")
    predictions = {**PREDICTIONS, "twin": PREDICTIONS["vgg"]}
    found = discuss([results[1], twin], twin, predictions, NAMES, [])[0]
    assert len(found.sentences) == 1
    assert found.sentences[0].startswith("vgg and twin are less than two standard errors apart")


def test_seeds_of_one_recipe_are_one_step_and_one_remark(results: list[Result]) -> None:
    seeds = [with_training(result, seed=seed, lr=1.0) for seed, result in enumerate(results)]
    found = remarks(seeds)
    assert "Which is better" not in found
    assert (
        found["Seeds"]
        .sentences[0]
        .startswith("small, 3 seeds: 25.0 % top-1 on average; another seed moves it by 15.00")
    )


def test_a_short_training_is_not_compared_with_the_published_value(results: list[Result]) -> None:
    assert remarks(results)["Beside the published table"].sentences == [
        "vgg: +0.50 ± 3.95 points of top-1 beside the published value, less than two standard errors."
    ]
    short = [with_training(result, epochs=3) for result in results]
    assert "nothing to compare yet" in remarks(short)["Beside the published table"].sentences[0]


def test_the_remark_on_cost_leaves_out_dominated_models(results: list[Result]) -> None:
    small, vgg, large = results
    cheap = with_training(vgg, train_flops=10**13)
    front, record = remarks([small, cheap, large])["What it costs"].sentences
    assert front.endswith("these: vgg (10 TFLOP, 25.0 %); large (2.38 PFLOP, 40.0 %).")
    assert "two standard errors is large: 2.38 PFLOP beside a reckoned 2.38 PFLOP, 1 times" in record
    assert (
        remarks([small, vgg], 1)["What it costs"]
        .sentences[1]
        .startswith("None is above the best published top-1 (vgg, 24.5 %)")
    )


def test_the_gap_is_not_compared_for_mixed_labels(results: list[Result]) -> None:
    small, vgg, large = results
    mixed = with_training(large, augmentation=Augmentation(mixup=0.2))
    found = remarks([with_training(small, epochs=3), vgg, mixed])["Learning"]
    assert found.sentences[0].startswith("small was still learning: its val loss fell over the last 8 of 40 epochs")
    assert found.sentences[1].endswith("no overfitting.")
    assert found.sentences[2].endswith("smoothed or mixed labels: not compared.")


def test_confidence_above_accuracy_is_above_zero(results: list[Result]) -> None:
    bins = [
        CalibrationBin(num_images=3, confidence=0.9, accuracy=0.5),
        CalibrationBin(num_images=0, confidence=None, accuracy=None),
    ]
    assert overconfidence(dataclasses.replace(results[0], calibration=bins)) == pytest.approx(0.4)
    assert points(-0.0123, 0.004) == "−1.23 ± 0.40"


def test_mistakes_are_counted(results: list[Result]) -> None:
    low_and_high, among, worst = remarks(results)["Classes and mistakes"].sentences
    assert "0.0 % (class 0)" in low_and_high
    assert among == "Of its 24 mistakes, 0.0 % have the right class among the five likeliest."
    assert worst.startswith("It confuses class 0 and class 1 most, in 2 of their 20 images; the 3 pairs")
