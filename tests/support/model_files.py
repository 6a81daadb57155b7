"""`.keras` files of which only the metadata matters."""

from __future__ import annotations

import zipfile
from pathlib import Path

from tiny_imagenet.dataset.classes import Class
from tiny_imagenet.dataset.model_info import MEMBER, ModelInfo, read_model_info

INFO = ModelInfo(
    model="cnn", dataset="cups", image_size=8, classes=(Class("n1", "cup, mug"), Class("n2", "jar")), flip_tta=False
)


def write_metadata(path: Path, **changes: object) -> Path:
    """Writes a file that has metadata and no model."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(MEMBER, INFO.model_copy(update=changes).model_dump_json())
    return path


def change_metadata(path: Path, **changes: object) -> None:
    """Changes the metadata of a model."""
    info = read_model_info(path).model_copy(update=changes)
    with zipfile.ZipFile(path) as file:
        members = {name: file.read(name) for name in file.namelist()}
    with zipfile.ZipFile(path, "w") as file:
        for name, data in (members | {MEMBER: info.model_dump_json().encode()}).items():
            file.writestr(name, data)
