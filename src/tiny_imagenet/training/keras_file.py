"""A `.keras` file whose bytes are a function of the model, so that equal trainings give equal files."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import keras

from tiny_imagenet.dataset.model_info import MEMBER, ModelInfo

DATE = (1980, 1, 1, 0, 0, 0)  # of each member; the earliest date of the zip format
DATE_SAVED = "1980-01-01@00:00:00"  # in Keras' format


def save_model(model: keras.Model, info: ModelInfo, path: Path) -> None:
    """Saves a model with its metadata in Keras' format, with a fixed date, and numbers in place of object addresses.

    Args:
        model: Any Keras model.
        info: The metadata, which `read_model_info` reads.
        path: Ends in `.keras`; `keras.saving.load_model` reads the file.
    """
    raw = path.with_name(f".raw-{path.name}")
    try:
        model.save(raw)
        with zipfile.ZipFile(raw) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as target:
            for name in sorted(source.namelist()):
                target.writestr(_member(name), _normalized(name, source.read(name)))
            target.writestr(_member(MEMBER), info.model_dump_json(indent=1))
    finally:
        raw.unlink(missing_ok=True)


def _member(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name, DATE)
    member.external_attr = 0o644 << 16
    return member


def _normalized(name: str, data: bytes) -> bytes:
    if not name.endswith(".json"):
        return data
    content = json.loads(data)
    if name == "metadata.json":
        content["date_saved"] = DATE_SAVED
    return json.dumps(_numbered(content, {}), indent=1).encode()


def _numbered(node: Any, numbers: dict[Any, int]) -> Any:
    """Returns a configuration in which each `shared_object_id`, an address, is replaced by a number from 1 up."""
    if isinstance(node, list):
        return [_numbered(item, numbers) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: numbers.setdefault(item, len(numbers) + 1) if key == "shared_object_id" else _numbered(item, numbers)
        for key, item in node.items()
    }
