"""The card states the results, and the limits of its model only."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.support.synthetic_results import DATA_REPORT, load_model_result, training, with_training, write_project

from tiny_imagenet.core.schema import Debug, ModelSettings
from tiny_imagenet.dataset.manifest import load_manifest
from tiny_imagenet.report.model_card import model_card
from tiny_imagenet.report.predictions import load_predictions
from tiny_imagenet.report.report_data import ReportData

WORDS = ["zero", "one, uno", "<script>alert(1)</script>"]
DESCRIPTION = 5000  # characters of a description in MLflow's databases


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    write_project(folder, WORDS, {"vgg": 40, "simple_cnn": 1})
    return folder


def card(project: Path, model: str = "vgg", others: int = 0, seconds: float | None = 3725.0, **changes: object) -> str:
    result = with_training(replace(load_model_result(project, model), train_seconds=seconds), **changes)
    predictions = load_predictions(model, project / "metrics" / model / "predictions.npz")
    predictions = replace(predictions, top_5=np.roll(predictions.top_5, 1, axis=1))
    settings = training(model, 40).model_dump(include=set(ModelSettings.model_fields))
    data = ReportData(
        manifest=load_manifest(project / "data" / "records"),
        data_report=DATA_REPORT,
        results=[result] * (1 + others),
        predictions={model: predictions},
        settings={model: ModelSettings(**settings)},
    )
    return model_card(data, data.best)


def test_the_card_has_data_recipe_results_and_limits(project: Path) -> None:
    text = card(project)
    assert [line for line in text.splitlines() if line.startswith("#")] == [
        *("# vgg", "## Data", "## Recipe", "## Results", "## Limits")
    ]
    assert "digits: 12 train, 12 val images." in text
    assert "40 of the recipe's 40 epochs in 1 h 02 min on CPU (2 cores), 2.38 PFLOP." in text
    assert "What the recipe `paper` sets, all else is off: optimizer sgd, lr 0.01, epochs 40, batch_size 100, " in text
    assert "| on 10,000 val images | |" in text
    assert "| top-1 accuracy | 25.00% ± 0.43% |" in text
    assert "- 7 val images are also in train with a different label: memorizing them lowers val accuracy.\n" in text
    assert "Most confused: zero and " in text
    assert len(text) < DESCRIPTION


def test_limits_are_those_of_the_model(project: Path) -> None:
    expected = {
        "It has not had all the epochs": card(project, "simple_cnn"),
        "image and its mirror image": card(project, flip_tta=True),
        "trained on ImageNet": card(project, pretrained="imagenet"),
        "It is the best of 4 on the images that score it": card(project, others=3),
    }
    plain = card(project)
    for words, text in expected.items():
        assert words not in plain
        assert words in text


def test_the_card_of_a_debug_run_says_so(project: Path) -> None:
    text = card(project, debug=Debug(overfit_batches=2), others=3)
    assert "**Debug run, not a result** (overfit_batches 2): do not use this model" in text
    assert "It is the best of" not in text
    assert "Debug run" not in card(project)


def test_more_epochs_than_the_recipe_has(project: Path) -> None:
    assert "50 epochs (recipe: 40) in 1 h 02 min on" in card(project, epochs=50)


def test_names_are_escaped(project: Path) -> None:
    text = card(project)
    assert "<script>" not in text
    assert "&lt;script&gt;" in text


def test_an_unknown_time_is_left_out(project: Path) -> None:
    assert "40 of the recipe's 40 epochs on CPU (2 cores), 2.38 PFLOP." in card(project, seconds=None)


def test_each_model_has_a_card_and_one_is_the_best(project: Path) -> None:
    names = ("vgg", "simple_cnn")
    results = [load_model_result(project, name) for name in names]
    results[1] = replace(results[1], evaluation=results[1].evaluation.model_copy(update={"top_1_accuracy": 0.9}))
    settings = {
        name: ModelSettings(**training(name, 40).model_dump(include=set(ModelSettings.model_fields))) for name in names
    }
    data = ReportData(
        manifest=load_manifest(project / "data" / "records"),
        data_report=DATA_REPORT,
        results=results,
        predictions={name: load_predictions(name, project / "metrics" / name / "predictions.npz") for name in names},
        settings=settings,
    )
    cards = [model_card(data, result) for result in results]
    assert [text.splitlines()[0] for text in cards] == ["# vgg", "# simple_cnn"]
    assert ["best of 2" in text for text in cards] == [False, True]
    assert "90.00%" in cards[1]
