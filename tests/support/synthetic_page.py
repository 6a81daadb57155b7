"""A page of made-up results: twelve classes, ten val images of each, three models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from tests.support.synthetic_results import DATA_REPORT, jpeg, write_model
from tiny_imagenet.report.reporting import best, draw_results

from tiny_imagenet.dataset.classes import Class
from tiny_imagenet.dataset.manifest import Manifest
from tiny_imagenet.report.mistakes import Predictions, confident_mistakes, confused_pairs
from tiny_imagenet.report.page import render_page
from tiny_imagenet.report.results import Result, load_result
from tiny_imagenet.report.style import to_svg

NAMES = [f"class {label}" for label in range(12)]
MANIFEST = Manifest(
    "made-up", 64, tuple(Class(f"n{label:08d}", name) for label, name in enumerate(NAMES)), {}, (0.5,) * 3, (0.2,) * 3
)
PUBLISHED = {"loss": 3.98, "top_1_accuracy": 0.245, "top_5_accuracy": 0.488, "images_seen": 4_000_000}
RIGHT = {"small": 2, "vgg": 5, "large": 8}  # of the ten images of each class


def load_results(folder: Path, **training: Any) -> list[Result]:
    """Writes and reads the results of `RIGHT`, each with its own learning rate; `vgg` has a published row."""
    for name, right in RIGHT.items():
        write_model(folder, name, NAMES, epochs=40, top_1=right / 20, num_images=120)
        path = folder / "metrics" / name / "training.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"lr": right} | training))
    metrics = folder / "metrics"
    return [load_result(name, metrics / name, PUBLISHED if name == "vgg" else None) for name in RIGHT]


def predict(right: int) -> Predictions:
    """Returns predictions that are right about so many images of each class, and take the others for the next class."""
    label = np.repeat(np.arange(12, dtype=np.int32), 10)
    shift = (np.tile(np.arange(10), 12) >= right).astype(np.int32)
    top_5 = (label[:, None] + shift[:, None] + np.arange(5, dtype=np.int32)) % 12
    first = np.linspace(0.3, 0.9, 120, dtype=np.float32)
    rest = np.tile(np.float32([0.04, 0.03, 0.02, 0.01]), (120, 1))
    return {"label": label, "top_5": top_5, "top_5_probability": np.column_stack([first, rest])}


def render(folder: Path, **changes: Any) -> str:
    """Returns the page of these results, with some arguments of `render_page` changed."""
    results = load_results(folder)
    predictions = {name: predict(right) for name, right in RIGHT.items()}
    chosen = predictions[best(results).model]
    figures = {name: to_svg(figure) for name, figure in draw_results(results).items()}
    arguments: dict[str, Any] = {
        "manifest": MANIFEST,
        "results": results,
        "predictions": predictions,
        "figures": figures | dict.fromkeys(["example-1", "augmentation"], "<svg/>"),
        "pairs": confused_pairs(chosen, 12, 3),
        "mistakes": confident_mistakes(chosen, 4),
        "images": dict.fromkeys(range(120), jpeg(np.full((8, 8, 3), 90))),
        "unknown_examples": [],
        "data_report": DATA_REPORT,
        "parameters": {name: {"seed": 1, "lr": 0.1 * right} for name, right in RIGHT.items()},
    }
    return render_page(**arguments | changes)


def write_page(folder: Path) -> Path:
    """Writes the page, and returns its path."""
    path = folder / "index.html"
    path.write_text(render(folder), encoding="utf-8")
    return path
