"""A checkout in which two models were scored, made up: `weak` and `strong`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from tests.support.synthetic_results import write_model, write_records

WORDS = ["zero", "one", "two, second"]
IMAGES = 40  # a class


def write_checkout(root: Path) -> Path:
    """Writes both: `weak` has 10 images of each class right, `strong` 20 more of `one` and 6 less of `two`."""
    write_records(root / "data" / "records", WORDS, images_per_class=IMAGES)
    within = np.repeat(np.arange(IMAGES), 3)  # which image of its class, as write_records lays them out
    label = np.tile(np.arange(3, dtype=np.int32), IMAGES)
    strong = np.where(label == 1, within < 30, within < 10 - 6 * (label == 2))
    for name, right, lr, keras in (("weak", within < 10, 0.01, "3"), ("strong", strong, 0.1, "4")):
        write_model(root, name, WORDS, num_images=3 * IMAGES)
        write_answers(root / "metrics" / name, label, right)
        change(root / "metrics" / name / "training.json", lr=lr, versions={"keras": keras})
    return root


def write_answers(metrics: Path, label: np.ndarray, right: np.ndarray) -> None:
    """Writes a model's answers; whatever is not right is taken for the next class."""
    first = np.where(right, label, (label + 1) % 3)
    top = np.stack([first, (first + 1) % 3, (first + 2) % 3], axis=1).astype(np.int32)
    np.savez(metrics / "predictions.npz", label=label, top_5=top, top_5_probability=np.full(top.shape, np.float32(0.3)))
    change(metrics / "evaluation.json", top_1_accuracy=float(right.mean()), top_5_accuracy=1.0)


def change(path: Path, **values: object) -> None:
    """Changes keys of a JSON file."""
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
