"""The card says what the results say, and nothing that they don't."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.synthetic_results import DATA_REPORT, write_project

from tiny_imagenet.dataset.manifest import load_manifest
from tiny_imagenet.report.mistakes import confused_pairs
from tiny_imagenet.report.model_card import model_card
from tiny_imagenet.report.results import Result, load_predictions, load_result

WORDS = ["zero", "one, uno", "<script>alert(1)</script>"]
SETTINGS = {"lr": 0.01, "l2": 0.0, "clip_norm": None, "xla": False, "augmentation.flip": "none", "epochs": 40}
DESCRIPTION = 5000  # characters that MLflow's databases hold


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    write_project(folder, WORDS, {"vgg": 40, "simple_cnn": 1})
    return folder


def card(project: Path, model: str = "vgg", others: int = 1, **changes: object) -> str:
    result = load_result(model, project / "metrics" / model)
    result = replace(result, training=result.training | changes)
    return made(project, result, [result] * others)


def made(project: Path, result: Result, others: list[Result]) -> str:
    predictions = load_predictions(result.model, project / "metrics" / result.model / "predictions.npz")
    manifest = load_manifest(project / "data" / "records")
    pairs = confused_pairs({**predictions, "top_5": predictions["top_5"][:, ::-1]}, 3, 9)
    return model_card(result, others, SETTINGS, manifest, DATA_REPORT, predictions, pairs)


def test_it_tells_data_recipe_results_and_limits(project: Path) -> None:
    text = card(project)
    assert [line for line in text.splitlines() if line.startswith("#")] == [
        *("# vgg", "## Data", "## Recipe", "## Results", "## Limits")
    ]
    assert "digits: 12 train, 12 val images." in text
    assert "40 of the recipe's 40 epochs in 1 h 02 min on CPU (2 cores), 2.38 PFLOP." in text
    assert "What the recipe `paper` sets, all else is off: lr 0.01, epochs 40." in text
    assert "| on 10,000 val images | |" in text
    assert "| top-1 accuracy | 25.00% ± 0.43% |" in text
    assert "7 val images are also train images, under another class" in text
    assert "Most confused: zero and " in text
    assert len(text) < DESCRIPTION


def test_limits_are_those_of_the_model(project: Path) -> None:
    said = {
        "It has not had all the epochs": card(project, "simple_cnn"),
        "image and its mirror image": card(project, flip_averaging=True),
        "trained on ImageNet": card(project, pretrained="imagenet"),
        "It is the best of 4 on the images that score it": card(project, others=4),
    }
    plain = card(project)
    for words, text in said.items():
        assert words not in plain
        assert words in text


def test_names_are_escaped(project: Path) -> None:
    text = card(project)
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
