"""A synthetic page: twelve classes, ten val images of each, three models."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from tests.support.synthetic_results import DATA_REPORT, PUBLISHED, jpeg, load_model_result, training, write_model

from tiny_imagenet.core.schema import ModelSettings
from tiny_imagenet.dataset.classes import Class
from tiny_imagenet.dataset.manifest import Manifest
from tiny_imagenet.report.charts import draw_charts
from tiny_imagenet.report.page import render_page
from tiny_imagenet.report.predictions import Predictions
from tiny_imagenet.report.report_data import ReportData
from tiny_imagenet.report.results import Result
from tiny_imagenet.report.style import to_svg

NAMES = [f"class {label}" for label in range(12)]
MANIFEST = Manifest(
    "made-up", 64, tuple(Class(f"n{label:08d}", name) for label, name in enumerate(NAMES)), {}, (0.5,) * 3, (0.2,) * 3
)
RIGHT = {"small": 2, "vgg": 5, "large": 8}  # of the ten images of each class
LR = {"small": 0.2, "vgg": 0.5, "large": 0.8}


def load_results(folder: Path) -> list[Result]:
    """Writes and reads the results of `RIGHT`, each with its own learning rate; `vgg` has a published row."""
    for name, right in RIGHT.items():
        write_model(folder, name, NAMES, epochs=40, top_1=right / 20, num_images=120)
    return [load_model_result(folder, name, PUBLISHED if name == "vgg" else None, lr=LR[name]) for name in RIGHT]


def predict(right: int) -> Predictions:
    """Returns predictions with `right` correct images of each class, the others taken for the next class."""
    label = np.repeat(np.arange(12, dtype=np.int32), 10)
    shift = (np.tile(np.arange(10), 12) >= right).astype(np.int32)
    top_5 = (label[:, None] + shift[:, None] + np.arange(5, dtype=np.int32)) % 12
    first = np.linspace(0.3, 0.9, 120, dtype=np.float32)
    rest = np.tile(np.float32([0.04, 0.03, 0.02, 0.01]), (120, 1))
    return Predictions(label, top_5, np.column_stack([first, rest]))


def reverse(predictions: Predictions) -> Predictions:
    """Returns the predictions of the same images in the opposite order."""
    return Predictions(*(getattr(predictions, field.name)[::-1] for field in dataclasses.fields(Predictions)))


def settings(name: str, **changes: Any) -> ModelSettings:
    """Returns the settings of a model."""
    content = training(name, 40).model_dump(include=set(ModelSettings.model_fields))
    return ModelSettings(**content | {"lr": LR[name]} | changes)


def render(folder: Path, **changes: Any) -> str:
    """Returns the page of these results, with some fields of the report's data changed."""
    results = load_results(folder)
    data = ReportData(
        manifest=MANIFEST,
        data_report=DATA_REPORT,
        results=results,
        predictions={name: predict(right) for name, right in RIGHT.items()},
        settings={name: settings(name) for name in RIGHT},
    )
    figures = {name: to_svg(figure) for name, figure in draw_charts(results).items()}
    figures |= dict.fromkeys(["example-1", "augmentation"], "<svg/>")
    images = dict.fromkeys(range(120), jpeg(np.full((8, 8, 3), 90)))
    return render_page(dataclasses.replace(data, **changes), figures, images, unknown_examples=[])


def write_page(folder: Path) -> Path:
    """Writes the page, and returns its path."""
    path = folder / "index.html"
    path.write_text(render(folder), encoding="utf-8")
    return path
