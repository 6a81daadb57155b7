"""The outputs of one stage in two folders, compared bit for bit but for times and the words of the report."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tiny_imagenet.core.run_record import TrainingRecord
from tiny_imagenet.core.schema import ModelSettings
from tiny_imagenet.core.strict_yaml import load_json

TIMES = ("seconds", "images_per_second", "train_seconds")  # columns and keys that two equal trainings differ in
MOVED = {"metrics/data.json": "reports/data.json"}  # outputs of earlier versions, and where they are written now
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?")


@dataclass(frozen=True)
class Difference:
    """The result of a comparison: the number of files, those that differ, and a remark."""

    compared: int
    differing: list[str]
    note: str = ""


def compare_stage(stage: str, model: str, base: Path, now: Path) -> Difference:
    """Compares the outputs of a stage."""
    found = _outputs(stage, model, base)
    names = [(base / each, now / MOVED.get(each.as_posix(), each)) for each in found]
    differing = [str(path.relative_to(now)) for former, path in names if not _equal(former, path)]
    reworded = [path.name for former, path in names if stage == "report" and _is_reworded(former, path)]
    return Difference(len(names), differing, f"other words, same numbers: {', '.join(reworded)}" if reworded else "")


def _outputs(stage: str, model: str, folder: Path) -> list[Path]:
    """Returns the files that a stage wrote, relative to the folder."""
    patterns = {
        "fetch": ["data/archive.zip"],
        "preprocess": ["data/records/*", "*/data.json"],
        "train": [f"models/{model}/model.keras"]
        + [f"metrics/{model}/{name}" for name in ("history.csv", "training.json", "architecture.json")],
        "evaluate": [f"metrics/{model}/{name}" for name in ("predictions.npz", "evaluation.json")]
        + [f"metrics/{model}/{name}.csv" for name in ("per_class", "calibration", "confusion")]
        + [f"models/{model}/submission.txt"],
        "report": ["reports/*.*", "reports/figures/*"],
    }[stage]
    return sorted(path.relative_to(folder) for each in patterns for path in folder.glob(each) if path.is_file())


def _equal(first: Path, second: Path) -> bool:
    if not second.is_file():
        return False
    compare = COMPARISONS.get(first.name) or COMPARISONS.get(first.suffix) or _equal_bytes
    return compare(first, second)


def _equal_bytes(first: Path, second: Path) -> bool:
    return first.read_bytes() == second.read_bytes()


def _equal_weights(first: Path, second: Path) -> bool:
    """Compares the weights in two .keras files: names, shapes, and values bit for bit."""
    a, b = (_weights(path) for path in (first, second))
    return a.keys() == b.keys() and all(a[k].dtype == b[k].dtype and a[k].tobytes() == b[k].tobytes() for k in a)


def _weights(path: Path) -> dict[str, np.ndarray]:
    import h5py  # type: ignore[import-untyped]

    found: dict[str, np.ndarray] = {}
    with zipfile.ZipFile(path) as archive:
        content = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(content, "r") as file:
        file.visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    return found


def _equal_arrays(first: Path, second: Path) -> bool:
    with np.load(first) as a, np.load(second) as b:
        return set(a.files) == set(b.files) and all(a[k].tobytes() == b[k].tobytes() for k in a.files)


def _equal_table(first: Path, second: Path) -> bool:
    a, b = (list(csv.DictReader(path.open(newline="", encoding="utf-8"))) for path in (first, second))
    return [_without_times(row) for row in a] == [_without_times(row) for row in b]


def _equal_json(first: Path, second: Path) -> bool:
    a, b = (_without_times(json.loads(path.read_text(encoding="utf-8"))) for path in (first, second))
    return bool(a == b)


def _equal_record(first: Path, second: Path) -> bool:
    """Compares two training.json by their typed record, which knows the keys of earlier versions."""
    left = {"train_seconds", "data_sha256", "model_sha256"}
    a, b = (load_json(TrainingRecord, path, "train again").model_dump(exclude=left) for path in (first, second))
    return bool(a == b)


def _equal_settings(first: Path, second: Path) -> bool:
    """Compares two settings.json; a key that one of them lacks has its default there."""
    a, b = (load_json(dict[str, ModelSettings], path, "run the report again") for path in (first, second))
    return bool(a == b)


def _equal_numbers(first: Path, second: Path) -> bool:
    a, b = (NUMBER.findall(path.read_text(encoding="utf-8")) for path in (first, second))
    return bool(a == b)


def _is_reworded(first: Path, second: Path) -> bool:
    return COMPARISONS.get(first.suffix) is _equal_numbers and second.is_file() and not _equal_bytes(first, second)


def _without_times(content: Any) -> Any:
    if isinstance(content, list):
        return [_without_times(item) for item in content]
    if not isinstance(content, dict):
        return content
    return {key: _without_times(item) for key, item in content.items() if key not in TIMES}


COMPARISONS: dict[str, Callable[[Path, Path], bool]] = {
    "training.json": _equal_record,
    "settings.json": _equal_settings,
    ".keras": _equal_weights,
    ".npz": _equal_arrays,
    ".csv": _equal_table,
    ".json": _equal_json,
    ".md": _equal_numbers,
    ".html": _equal_numbers,
    ".svg": _equal_numbers,
}
