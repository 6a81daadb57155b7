"""The results of evaluated models: from a checkout, a git revision of it, or an MLflow run."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from tiny_imagenet.core.errors import InputError
from tiny_imagenet.core.files import sha256_of
from tiny_imagenet.core.strict_yaml import nearest
from tiny_imagenet.dataset.manifest import MANIFEST, load_manifest
from tiny_imagenet.report.predictions import Predictions, load_predictions
from tiny_imagenet.report.result_files import load_result
from tiny_imagenet.report.results import Result

RUN_ID = re.compile(r"[0-9a-f]{32}")  # of MLflow; a git commit's has 40 digits
RECORDS = Path("data/records")


@dataclass(frozen=True)
class EvaluatedModel:
    """A model's results, and the images that they are of.

    Attributes:
        result: The results; `result.model` is the name that was requested.
        predictions: On the split of the results.
        manifest_sha256: Of the records' manifest.
        shards: The SHA-256 of each shard of the split; None for an MLflow run, which records the manifest's only.
    """

    result: Result
    predictions: Predictions
    manifest_sha256: str
    shards: tuple[str, ...] | None

    def has_images_of(self, other: EvaluatedModel) -> bool:
        """Returns whether both were evaluated on the same images, as far as the digests tell."""
        same_manifest = self.manifest_sha256 == other.manifest_sha256
        same_shards = self.shards is not None and self.shards == other.shards
        return (same_manifest or same_shards) and self.predictions.has_labels_of(other.predictions)


def find_evaluated_model(root: Path, name: str) -> EvaluatedModel:
    """Finds a model's results.

    Args:
        root: The checkout.
        name: A model of the checkout, REVISION:MODEL (a commit, branch, tag or DVC experiment), or an MLflow run's id.

    Raises:
        InputError: The results are missing or damaged.
    """
    with TemporaryDirectory() as temporary:
        if RUN_ID.fullmatch(name):
            return _load_run(root, name, Path(temporary))
        if ":" in name:
            revision, _, model = name.partition(":")
            _get_revision(root, revision, model, Path(temporary))
            return _load(root, Path(temporary), Path(temporary) / "model", name)
        known = [path.parent.name for path in sorted(root.glob("metrics/*/evaluation.json"))]
        if name not in known:
            todo = f"{nearest(name, known) if known else 'run `dvc repro`'} (or name REVISION:MODEL, or an MLflow run)"
            raise InputError(f"{root / 'metrics'}: {name}", "no such evaluated model", todo)
        return _load(root, root / RECORDS, root / "metrics" / name, name)


def _load(root: Path, records: Path, metrics: Path, name: str) -> EvaluatedModel:
    from tiny_imagenet.tracking.trained_runs import train_seconds  # MLflow takes seconds to import

    result, manifest = load_result(name, metrics), load_manifest(records)
    times = train_seconds(root, manifest.dataset, {name: result.training.model_sha256})
    result, split = replace(result, train_seconds=times.get(name, result.train_seconds)), result.evaluation.split
    if split not in manifest.splits:
        what = f"has no split {split!r}, on which {name} was evaluated"
        raise InputError(records / MANIFEST, what, "run `dvc repro`")
    shards = tuple(shard.sha256 for shard in manifest.splits[split].shards)
    predictions = load_predictions(name, metrics / "predictions.npz")
    return EvaluatedModel(result, predictions, sha256_of(records / MANIFEST), shards)


def _load_run(root: Path, run_id: str, folder: Path) -> EvaluatedModel:
    from tiny_imagenet.tracking.evaluations import download_evaluation

    metrics, manifest_sha256, seconds = download_evaluation(root, run_id, folder)
    result, predictions = load_result(run_id, metrics), load_predictions(run_id, metrics / "predictions.npz")
    return EvaluatedModel(replace(result, train_seconds=seconds), predictions, manifest_sha256, None)


def _get_revision(root: Path, revision: str, model: str, folder: Path) -> None:
    """Copies a model's metrics (to `model`) and the records' manifest of a revision, from git and DVC."""
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
