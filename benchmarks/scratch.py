"""The data of the benchmarks: the real archive, its records, its images in folders; made once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from benchmarks.subjects import ROOT
from tiny_imagenet.archive.zip_archive import Archive
from tiny_imagenet.core.errors import InputError
from tiny_imagenet.core.files import atomic_directory

IMAGES_PER_CLASS = 100  # in folders, for the peers


class Scratch:
    """A folder of data to measure on.

    Args:
        folder: Its content is used again by the next run.
        log: Called with a line on each step of the preparation.
    """

    def __init__(self, folder: Path, log: Callable[[str], object]) -> None:
        self.folder, self.log = folder, log
        folder.mkdir(parents=True, exist_ok=True)
        self.logs = folder / "logs"
        self.logs.mkdir(exist_ok=True)

    @cached_property
    def archive(self) -> Path:
        """The archive: TINY_IMAGENET_ARCHIVE, or the output of stage fetch.

        Raises:
            InputError: There is no such file.
        """
        path = Path(os.environ.get("TINY_IMAGENET_ARCHIVE") or ROOT / "data" / "archive.zip")
        if not path.exists():
            raise InputError(path, "not found", "run `dvc repro fetch`, or name the archive in TINY_IMAGENET_ARCHIVE")
        return path.resolve()

    @cached_property
    def data(self) -> Path:
        """The data folder of a project: the archive, and its records by stage preprocess."""
        data = self.folder / "data"
        data.mkdir(exist_ok=True)
        link = data / "archive.zip"
        if not link.is_symlink() or link.resolve() != self.archive:
            shutil.rmtree(data / "records", ignore_errors=True)
            link.unlink(missing_ok=True)
            link.symlink_to(self.archive)
        if not (data / "records").exists():
            self.log("preparing the records")
            shutil.copy(ROOT / "params.yaml", self.folder / "params.yaml")
            subprocess.run([sys.executable, ROOT / "stages" / "preprocess.py"], cwd=self.folder, check=True)
        return data

    def project(self, name: str, **training: Any) -> Path:
        """Returns a folder in which stage train can run, with changes of `training` in its params.yaml.

        All projects share the data and the cache of decoded images.
        """
        project, cache = self.folder / "projects" / name, self.folder / "decoded"
        project.mkdir(parents=True, exist_ok=True)
        cache.mkdir(exist_ok=True)
        for link, target in (("data", self.data), (".cache", cache)):
            if not (project / link).is_symlink():
                (project / link).symlink_to(target)
        for leftover in (".checkpoints", "models", "metrics"):
            shutil.rmtree(project / leftover, ignore_errors=True)
        params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
        (project / "params.yaml").write_text(yaml.safe_dump(adapted(params, training)), encoding="utf-8")
        return project

    @cached_property
    def folders(self) -> Path:
        """Train images as JPEG files in one folder per class, for the peers."""
        target = self.folder / f"train-{IMAGES_PER_CLASS}-per-class"
        if not target.exists():
            self.log("unpacking images for the peers")
            with atomic_directory(target) as temporary, Archive(self.archive) as archive:
                _unpack(archive, temporary)
        return target


def adapted(params: dict[str, Any], training: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the parameters with changes of `training`, one epoch, and no checkpoint within it."""
    training = {"checkpoint_seconds": 1e6, **training}
    return {**params, "dataset": "tiny-imagenet-200", "epochs": 1, "training": {**params["training"], **training}}


def _unpack(archive: Archive, target: Path) -> None:
    taken: dict[str, int] = {}
    for name in archive.names:
        parts = name.split("/")
        if parts[0] == "train" and parts[-1].endswith(".JPEG") and taken.get(parts[1], 0) < IMAGES_PER_CLASS:
            taken[parts[1]] = taken.get(parts[1], 0) + 1
            path = target / parts[1] / parts[-1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(archive.read(name))
