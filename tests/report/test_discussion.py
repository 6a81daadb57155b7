"""The sentences follow the numbers."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from tests.support.synthetic_page import NAMES, RIGHT, load_results, predict
from tests.support.synthetic_results import with_training

from tiny_imagenet.core.schema import Augmentation, Debug
from tiny_imagenet.report.discussion import Remark, discuss
from tiny_imagenet.report.file_records import CalibrationBin
from tiny_imagenet.report.formats import points
from tiny_imagenet.report.mistakes import confused_pairs
from tiny_imagenet.report.model_remarks import overconfidence
from tiny_imagenet.report.results import Result

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


def test_a_debug_run_is_compared_with_nothing(results: list[Result]) -> None:
    small, vgg, large = results
    debug = with_training(large, debug=Debug(steps=3))
    found = remarks([small, vgg, debug], 1)
    assert found["Which is better"].table
    assert [row[:2] for row in found["Which is better"].table.rows] == [["vgg", "small"]]
    others = [*found["What it costs"].sentences, *found["Learning"].sentences, *found["Confidence"].sentences]
    assert not [sentence for sentence in others if "large" in sentence]
    seeds = [with_training(result, debug=Debug(steps=3), lr=1.0, seed=i) for i, result in enumerate(results)]
    assert remarks(seeds).keys() == {"Classes and mistakes"}


def test_trainings_of_few_epochs_are_one_sentence(results: list[Result]) -> None:
    short = [dataclasses.replace(result, history=result.history[:5]) for result in results]
    assert remarks(short)["Learning"].sentences == [
        "Curves of fewer than 8 epochs are not judged: small (5), vgg (5), large (5)."
    ]
    first, second = remarks([short[0], results[1]])["Learning"].sentences
    assert first.startswith("vgg was still learning")
    assert second == "Curves of fewer than 8 epochs are not judged: small (5)."


def test_models_that_are_right_about_the_same_images_are_zero_apart(results: list[Result]) -> None:
    twin = dataclasses.replace(with_training(results[1], lr=9.0), model="twin")
    found = discuss([results[1], twin], twin, {**PREDICTIONS, "twin": PREDICTIONS["vgg"]}, NAMES, [])[0]
    assert found.table
    assert found.table.rows == [["vgg", "twin", "0.00", "–"]]


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
    assert among == "Of its 24 mistakes, 0 have the right class among the five likeliest."
    assert worst.startswith(
        "It confuses class 0 and class 1 most, in 2 of their 20 images; the 3 pairs below hold 6 of the 24 mistakes."
    )
