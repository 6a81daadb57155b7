"""A synthetic checkout with two evaluated models, `weak` and `strong`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tests.support.synthetic_results import change_json, write_model, write_records

WORDS = ["zero", "one", "two, second"]
IMAGES_PER_CLASS = 40


def write_checkout(root: Path) -> Path:
    """Writes both: `weak` has 10 images of each class right, `strong` 20 more of `one` and 6 less of `two`."""
    write_records(root / "data" / "records", WORDS, images_per_class=IMAGES_PER_CLASS)
    index = np.repeat(np.arange(IMAGES_PER_CLASS), 3)  # of an image within its class, in the order of write_records
    label = np.tile(np.arange(3, dtype=np.int32), IMAGES_PER_CLASS)
    strong = np.where(label == 1, index < 30, index < 10 - 6 * (label == 2))
    for name, right, lr, keras in (("weak", index < 10, 0.01, "3"), ("strong", strong, 0.1, "4")):
        write_model(root, name, WORDS, num_images=len(label))
        write_answers(root / "metrics" / name, label, right)
        change_json(root / "metrics" / name / "training.json", lr=lr, versions={"keras": keras})
    return root


def write_answers(metrics: Path, label: np.ndarray, right: np.ndarray) -> None:
    """Writes a model's predictions; a wrong one is the next class."""
    first = np.where(right, label, (label + 1) % 3)
    top = np.stack([first, (first + 1) % 3, (first + 2) % 3], axis=1).astype(np.int32)
    np.savez(metrics / "predictions.npz", label=label, top_5=top, top_5_probability=np.full(top.shape, np.float32(0.3)))
    change_json(metrics / "evaluation.json", top_1_accuracy=float(right.mean()), top_5_accuracy=1.0)
