"""The files of a model's results, read and checked: an error names the file, the model and the key."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from tiny_imagenet.core.errors import InputError, PipelineError
from tiny_imagenet.core.run_record import TrainingRecord
from tiny_imagenet.report.file_records import Architecture, CalibrationBin, ClassResult, Epoch, Evaluation, PublishedRow
from tiny_imagenet.report.results import Result

RANGE_ERRORS = ("greater_than_equal", "less_than_equal")
NUMBER_ERRORS = ("int_type", "int_parsing", "int_from_float", "float_type", "float_parsing")
Record = TypeVar("Record", bound=BaseModel)


def load_result(model: str, metrics_dir: Path, published: PublishedRow | None = None) -> Result:
    """Reads the results of a model.

    Args:
        model: The model's name.
        metrics_dir: Folder of training, evaluation and architecture (.json), history, per_class and calibration (.csv).
        published: The row of the published table to compare with; unused for a debug run.

    Raises:
        InputError: A file is missing or damaged.
        PipelineError: A metric is not a finite number.
    """
    training = _load_object(model, metrics_dir / "training.json", TrainingRecord)
    return Result(
        model=model,
        training=training,
        evaluation=_load_object(model, metrics_dir / "evaluation.json", Evaluation),
        architecture=_load_object(model, metrics_dir / "architecture.json", Architecture),
        history=_load_rows(model, metrics_dir / "history.csv", Epoch),
        per_class=_load_rows(model, metrics_dir / "per_class.csv", ClassResult),
        calibration=_load_rows(model, metrics_dir / "calibration.csv", CalibrationBin),
        train_seconds=training.train_seconds,
        published=None if training.debug else published,
    )


def _load_object(model: str, path: Path, kind: type[Record]) -> Record:
    try:
        content = json.loads(_read(model, path))
    except ValueError:
        raise damaged(model, path, "is not valid JSON") from None
    if not isinstance(content, dict):
        raise damaged(model, path, "is not a JSON object")
    return _check(model, path, kind, content)


def _load_rows(model: str, path: Path, kind: type[Record]) -> list[Record]:
    reader = csv.DictReader(io.StringIO(_read(model, path), newline=""))
    required = [key for key, field in kind.model_fields.items() if field.is_required()]
    rows = []
    for row in reader:
        if any(row.get(key) is None for key in required):
            raise damaged(model, path, f"line {reader.line_num} is cut, or a column is missing")
        rows.append(_check(model, path, kind, row))
    if not rows:
        raise damaged(model, path, "holds no rows")
    return rows


def _check(model: str, path: Path, kind: type[Record], content: dict[str, Any]) -> Record:
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        problem = error.errors()[0]
    key, value = ".".join(map(str, problem["loc"])), problem["input"]
    if problem["type"] == "finite_number":
        what = f"{key} of the model {model!r} is {float(value)}"
        raise PipelineError(path, what, "train it again, with a lower lr")
    if problem["type"] == "missing":
        raise damaged(model, path, f"lacks {key!r}")
    if problem["type"] in RANGE_ERRORS:
        raise damaged(model, path, f"{key} is {value}, not a fraction")
    if problem["type"] in NUMBER_ERRORS:
        raise damaged(model, path, f"{key} is {value!r}, not a number")
    raise damaged(model, path, f"{key}: {problem['msg']}")


def _read(model: str, path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise missing(model, path) from None
    except (OSError, UnicodeDecodeError) as error:
        raise damaged(model, path, f"cannot be read ({error})") from None


def missing(model: str, path: Path) -> InputError:
    """Returns the error for a missing file of a model's results."""
    return InputError(path, f"no results of the model {model!r}", "run `dvc repro`")


def damaged(model: str, path: Path, what: str) -> InputError:
    """Returns the error for a damaged file of a model's results."""
    return InputError(path, f"results of the model {model!r}: {what}", "delete the file and run `dvc repro`")
