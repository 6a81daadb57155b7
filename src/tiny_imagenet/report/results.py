"""What each model left behind, read from JSON and CSV and checked."""

from __future__ import annotations

import csv
import io
import json
import math
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tiny_imagenet.core.errors import InputError, PipelineError

Row = dict[str, Any]


@dataclass(frozen=True)
class Columns:
    """The keys that a file must hold: numbers (finite, or blank in a CSV), texts, and values of other kinds."""

    numbers: tuple[str, ...]
    texts: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


EVALUATION = Columns(numbers=("num_images", "loss", "objective", "top_1_accuracy", "top_5_accuracy", "ece"))
TRAINING = Columns(
    numbers=("epochs", "recipe_epochs", "seed", "num_parameters", "train_flops", "train_seconds"),
    texts=("recipe", "dataset", "device"),
    others=("versions",),
)
ARCHITECTURE = Columns(numbers=("num_parameters", "macs_per_image"), others=("input_shape", "layers"))
SCORES = ("loss", "objective", "top_1_accuracy", "top_5_accuracy")
HISTORY = Columns(numbers=("epoch", "lr", *SCORES, *(f"val_{name}" for name in SCORES), "seconds"))
PER_CLASS = Columns(
    numbers=("num_images", "top_1_accuracy", "top_5_accuracy", "most_confused_count"),
    texts=("wnid", "words", "most_confused_with"),
)
CALIBRATION = Columns(numbers=("num_images", "confidence", "accuracy"))
FRACTIONS = ("accuracy", "confidence", "ece")  # how the names end of what lies between 0 and 1
TRAIN_FLOPS_PER_MAC = 6  # as model_summary.py counts, which would import Keras here
PREDICTIONS = ("label", "top_5", "top_5_probability")


@dataclass(frozen=True)
class Result:
    """One model: the contents of its files, and the row of the published table that it stands beside."""

    model: str
    training: Row
    evaluation: Row
    architecture: Row
    history: list[Row]
    per_class: list[Row]
    calibration: list[Row]
    published: Mapping[str, Any] | None

    @property
    def split(self) -> str:
        """The split that the model was scored on: "val" or "holdout"; older results do not say."""
        return str(self.evaluation.get("split", "val"))

    @property
    def flip_averaging(self) -> bool:
        """Whether the model answers with the mean over an image and its mirror image; older results do not say."""
        return bool(self.training.get("flip_averaging"))

    @property
    def pretrained(self) -> str | None:
        """The weights that training began with, None where it began with random ones; older results do not say."""
        return self.training.get("pretrained") or None

    @property
    def published_flops(self) -> float | None:
        """What the published training would cost by our count: this architecture, the published epochs."""
        if self.published is None:
            return None
        return float(TRAIN_FLOPS_PER_MAC * self.architecture["macs_per_image"] * self.published["images_seen"])

    def standard_error(self, metric: str) -> float:
        """Returns the standard error of one of the accuracies, as a fraction."""
        return self.error_of(self.evaluation[metric])

    def error_of(self, accuracy: float) -> float:
        """Returns the standard error of an accuracy p on the n images of the evaluation, sqrt(p (1 - p) / n)."""
        return math.sqrt(accuracy * (1.0 - accuracy) / self.evaluation["num_images"])


def load_result(model: str, metrics_dir: Path, published: Mapping[str, Any] | None = None) -> Result:
    """Reads a model's results.

    Args:
        model: The model's name.
        metrics_dir: Folder of its training, evaluation and architecture (.json), its history, per_class and
            calibration (.csv).
        published: `loss`, `top_1_accuracy`, `top_5_accuracy` of the published table, and `images_seen` in training.

    Raises:
        InputError: A file is missing or damaged.
        PipelineError: A metric is not a finite number.
    """
    return Result(
        model=model,
        training=_read_json(model, metrics_dir / "training.json", TRAINING),
        evaluation=_read_json(model, metrics_dir / "evaluation.json", EVALUATION),
        architecture=_read_json(model, metrics_dir / "architecture.json", ARCHITECTURE),
        history=_read_csv(model, metrics_dir / "history.csv", HISTORY),
        per_class=_read_csv(model, metrics_dir / "per_class.csv", PER_CLASS),
        calibration=_read_csv(model, metrics_dir / "calibration.csv", CALIBRATION),
        published=published,
    )


def load_predictions(model: str, path: Path) -> dict[str, np.ndarray]:
    """Reads a model's predictions.npz: `label` (N,), `top_5` (N, k) and `top_5_probability` (N, k).

    Raises:
        InputError: It is missing or damaged.
    """
    if not path.is_file():
        raise _missing(model, path)
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {key: arrays[key] for key in PREDICTIONS}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise _damaged(model, path, f"cannot be read ({error})") from None


def _read_json(model: str, path: Path, columns: Columns) -> Row:
    try:
        content = json.loads(_read(model, path))
    except ValueError:
        raise _damaged(model, path, "is not valid JSON") from None
    if not isinstance(content, dict):
        raise _damaged(model, path, "is not a JSON object")
    for key in (*columns.numbers, *columns.texts, *columns.others):
        if key not in content:
            raise _damaged(model, path, f"lacks {key!r}")
    for key in columns.numbers:
        _check_number(model, path, key, content[key])
    return content


def _read_csv(model: str, path: Path, columns: Columns) -> list[Row]:
    reader = csv.DictReader(io.StringIO(_read(model, path), newline=""))
    rows: list[Row] = []
    for line in reader:
        if any(line.get(key) is None for key in (*columns.numbers, *columns.texts)):
            raise _damaged(model, path, f"line {reader.line_num} is cut, or a column is missing")
        row: Row = {key: line[key] for key in columns.texts}
        for key in columns.numbers:
            row[key] = _number(line[key])
            if row[key] is not None:
                _check_number(model, path, key, row[key])
        rows.append(row)
    if not rows:
        raise _damaged(model, path, "holds no rows")
    return rows


def _number(cell: str) -> Any:
    """Returns the number in a cell, None where it is blank, the text itself where it is no number."""
    try:
        return float(cell) if cell else None
    except ValueError:
        return cell


def _check_number(model: str, path: Path, key: str, value: Any) -> None:
    if not isinstance(value, (int, float)):
        raise _damaged(model, path, f"{key} is {value!r}, not a number")
    if not math.isfinite(value):
        raise PipelineError(path, f"{key} of the model {model!r} is {value}", "train it again, with a lower lr")
    if key.endswith(FRACTIONS) and not 0 <= value <= 1:
        raise _damaged(model, path, f"{key} is {value}, not a fraction")


def _read(model: str, path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise _missing(model, path) from None
    except (OSError, UnicodeDecodeError) as error:
        raise _damaged(model, path, f"cannot be read ({error})") from None


def _missing(model: str, path: Path) -> InputError:
    return InputError(path, f"no results of the model {model!r}", "run `dvc repro`")


def _damaged(model: str, path: Path, what: str) -> InputError:
    return InputError(path, f"results of the model {model!r}: {what}", "delete the file and run `dvc repro`")
