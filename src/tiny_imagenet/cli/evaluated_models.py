"""A model's results and the images they are of: from a checkout, one of its git revisions, or an MLflow run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from tiny_imagenet.core.errors import InputError
from tiny_imagenet.core.files import sha256_of
from tiny_imagenet.core.strict_yaml import nearest
from tiny_imagenet.dataset.manifest import MANIFEST, load_manifest
from tiny_imagenet.report.results import Result, load_predictions, load_result

RUN_ID = re.compile(r"[0-9a-f]{32}")  # MLflow's; a commit's has 40
RECORDS = Path("data/records")


@dataclass(frozen=True)
class Scored:
    """What a model was scored on, and how it did.

    Attributes:
        result: Its results; `result.model` is what it was asked for by.
        predictions: `label` (N,), `top_5` (N, k) and `top_5_probability` (N, k), in the records' order.
        manifest_sha256: Of the records' manifest.
        shards: The SHA-256 of each shard of the split; None of an MLflow run, which knows the manifest's alone.
    """

    result: Result
    predictions: Mapping[str, np.ndarray]
    manifest_sha256: str
    shards: tuple[str, ...] | None

    def has_images_of(self, other: Scored) -> bool:
        """Returns whether both were scored on the same images, as far as is known."""
        same_manifest = self.manifest_sha256 == other.manifest_sha256
        same_shards = self.shards is not None and self.shards == other.shards
        same_labels = np.array_equal(self.predictions["label"], other.predictions["label"])
        return (same_manifest or same_shards) and same_labels


def find_scored(root: Path, name: str) -> Scored:
    """Finds a model's results.

    Args:
        root: The checkout.
        name: A model of the checkout, REVISION:MODEL (a commit, branch, tag or DVC experiment), or an MLflow run's id.

    Raises:
        InputError: They are not there, or damaged.
    """
    with TemporaryDirectory() as temporary:
        if RUN_ID.fullmatch(name):
            from tiny_imagenet.tracking.evaluations import download_evaluation

            folder, digest = download_evaluation(root, name, Path(temporary))
            return Scored(load_result(name, folder), load_predictions(name, folder / "predictions.npz"), digest, None)
        if ":" in name:
            revision, _, model = name.partition(":")
            _get_revision(root, revision, model, Path(temporary))
            return _read(Path(temporary), Path(temporary) / "model", name)
        known = [path.parent.name for path in sorted(root.glob("metrics/*/evaluation.json"))]
        if name not in known:
            todo = f"{nearest(name, known) if known else 'run `dvc repro`'} (or name REVISION:MODEL, or an MLflow run)"
            raise InputError(f"{root / 'metrics'}: {name}", "no such scored model", todo)
        return _read(root / RECORDS, root / "metrics" / name, name)


def _read(records: Path, metrics: Path, name: str) -> Scored:
    result = load_result(name, metrics)
    manifest = load_manifest(records)
    if result.split not in manifest.splits:
        raise InputError(
            records / MANIFEST, f"has no split {result.split!r}, on which {name} was scored", "run `dvc repro`"
        )
    shards = tuple(shard.sha256 for shard in manifest.splits[result.split].shards)
    return Scored(result, load_predictions(name, metrics / "predictions.npz"), sha256_of(records / MANIFEST), shards)


def _get_revision(root: Path, revision: str, model: str, folder: Path) -> None:
    """Copies from git and DVC's cache: the manifest of a revision's records, and a model's metrics into `model`."""
    from dvc.api import DVCFileSystem
    from dvc.exceptions import DvcException

    try:
        files = DVCFileSystem(str(root), rev=revision)
        known = [path.rpartition("/")[2] for path in files.ls("metrics", detail=False) if files.isdir(path)]
        if model not in known:
            raise InputError(f"{revision}:{model}", "no such model at that revision", nearest(model, known))
        files.get(f"metrics/{model}", str(folder / "model"), recursive=True)
        files.get_file((RECORDS / MANIFEST).as_posix(), str(folder / MANIFEST))
    except (DvcException, OSError) as error:
        what = f"cannot be read ({error or type(error).__name__})"
        todo = "name a revision that was reproduced, its outputs in DVC's cache (`dvc fetch`)"
        raise InputError(f"{revision}:{model}", what, todo) from None
