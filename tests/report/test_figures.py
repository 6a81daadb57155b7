"""The figures show the values, and their bytes depend on nothing else."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.support.synthetic_results import ARCHITECTURE, PUBLISHED, load_model_result, write_model

from tiny_imagenet.report.charts import draw_charts
from tiny_imagenet.report.diagrams import draw_architecture, shape, short
from tiny_imagenet.report.figures import draw_accuracy, draw_augmentation, draw_calibration, draw_example
from tiny_imagenet.report.results import Architecture, CalibrationBin, Result
from tiny_imagenet.report.style import to_png, to_svg


@pytest.fixture
def result(tmp_path: Path) -> Result:
    write_model(tmp_path, "vgg", ["zero", "one"], epochs=3)
    return load_model_result(tmp_path, "vgg", PUBLISHED)


def test_svg_and_png_have_the_same_bytes_twice_and_name_no_date_or_program(result: Result) -> None:
    def draw() -> dict[str, str]:
        return {name: to_svg(figure) for name, figure in draw_charts([result]).items()}

    first = draw()
    assert first == draw()
    assert set(first) == {"accuracy", "compute", "time", "calibration-vgg", "curves-vgg", "architecture-vgg"}
    for svg in first.values():
        assert "<dc:date>" not in svg
        assert "Matplotlib" not in svg
    image = np.zeros((8, 8, 3), np.uint8)
    assert to_png(draw_example(image, "a", [("a", 0.5)])) == to_png(draw_example(image, "a", [("a", 0.5)]))


def test_accuracy_bars_have_the_models_values(result: Result) -> None:
    axes = draw_accuracy([result, dataclasses.replace(result, model="b", published=None)]).axes[0]
    assert [patch.get_width() for patch in axes.patches] == pytest.approx([25.0, 50.0, 25.0, 50.0])
    texts = [text.get_text() for text in axes.texts]
    assert texts.count("25.0") == 2
    assert texts.count("24.5") == 1


def test_calibration_leaves_empty_bins_out(result: Result) -> None:
    bins = [
        CalibrationBin(num_images=0, confidence=None, accuracy=None),
        CalibrationBin(num_images=9, confidence=0.6, accuracy=0.5),
    ]
    axes = draw_calibration(dataclasses.replace(result, calibration=bins)).axes[0]
    assert list(axes.lines[1].get_xdata()) == [60.0]
    assert axes.get_title(loc="left") == "vgg: 5.0"


def test_the_correct_guess_has_another_color() -> None:
    guesses = [("bee", 0.5), ("fly", 0.3)]
    bars = draw_example(np.zeros((8, 8, 3), np.uint8), "fly", guesses).axes[1].patches
    assert bars[0].get_facecolor() != bars[1].get_facecolor()
    assert [bar.get_width() for bar in bars] == [0.5, 0.3]


def test_the_augmentation_grid_is_a_png() -> None:
    figure = draw_augmentation(np.zeros((2, 4, 8, 8, 3), np.uint8))
    assert len(figure.axes) == 8
    with Image.open(io.BytesIO(to_png(figure))) as image:
        assert image.width > image.height > 100


def test_architecture_names_layers_shapes_and_counts() -> None:
    texts = [text.get_text() for text in draw_architecture(Architecture(**ARCHITECTURE)).axes[0].texts]
    for expected in ("image", "Conv2D", "32 × 3×3, relu", "62 × 62 × 32", "896", "3,999,104", "30,752"):
        assert expected in texts
    assert "InputLayer" not in texts
    assert "4 M parameters, 99 M MACs an image" in texts
    assert short(2_457_800) == "2.46 M"
    assert shape([None, 3]) == "? × 3"


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "$x$ & $y$"])
def test_any_name_is_text(name: str) -> None:
    svg = to_svg(draw_example(np.zeros((8, 8, 3), np.uint8), name, [(name, 0.5)]))
    assert "<script" not in svg
    assert name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") in svg
