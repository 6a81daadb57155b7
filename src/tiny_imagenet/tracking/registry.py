"""The registered model of a dataset in MLflow: a version for each model that was the best, one with the alias."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tiny_imagenet.core.errors import PipelineError
from tiny_imagenet.core.files import locked
from tiny_imagenet.tracking.logged_models import find_logged_model
from tiny_imagenet.tracking.store import open_store
from tiny_imagenet.tracking.trained_runs import find_run

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.tracking import MlflowClient

CHAMPION = "champion"
ABOUT = "The best models of this dataset, by top-1 accuracy; the alias `champion` is on the best one."


@dataclass(frozen=True)
class Candidate:
    """A model that may become champion.

    Attributes:
        model: Its name.
        split: The split that it was evaluated on.
        top_1_accuracy: On that split, as a fraction.
        experiment: The name of the dataset, and of the registered model.
        model_sha256: Of the model's file.
    """

    model: str
    split: str
    top_1_accuracy: float
    experiment: str
    model_sha256: str


def register_champion(root: Path, candidate: Candidate, card_path: Path) -> str:
    """Registers a model as champion, unless the present champion is at least as good.

    Models that were not evaluated on the same split of the same records cannot be compared: the new one wins.

    Args:
        root: The main checkout.
        candidate: The model.
        card_path: Its model card: the description of the version, and a file beside the model.

    Returns:
        A sentence on the outcome.

    Raises:
        PipelineError: The store does not answer, or lacks the model of the run.
    """
    name = candidate.experiment
    with open_store(root, name) as (client, experiment_id), locked(root / "mlruns"):
        run = find_run(client, experiment_id, candidate.model_sha256)
        model = find_logged_model(client, experiment_id, run.run_id) if run else None
        if not run or not model:
            todo = f"train it again: `dvc repro --force --single-item train@{candidate.model}`"
            raise PipelineError(f"{candidate.model}: its MLflow run", "is not in the store with its model", todo)
        run_id = run.run_id
        tags = {
            "model": candidate.model,
            "split": candidate.split,
            "top_1_accuracy": repr(candidate.top_1_accuracy),
            "dataset.sha256": client.get_run(run_id).data.tags.get("dataset.sha256", ""),
        }
        present = _champion(client, name)
        if present and present.run_id != run_id and _as_good(present.tags, tags):
            stays = f"{name}: the champion stays version {present.version}, {_describe(present.tags)}"
            return f"{stays}; not {_describe(tags)}"
        version = _version(client, name, run_id, model.model_id)
        client.update_model_version(name, version, card_path.read_text(encoding="utf-8"))
        client.log_model_artifact(model.model_id, str(card_path))
        for key, value in tags.items():
            client.set_model_version_tag(name, version, key, value)
        client.set_registered_model_alias(name, CHAMPION, version)
        return f"{name}: the champion is version {version}, {_describe(tags)}"


def _champion(client: MlflowClient, name: str) -> ModelVersion | None:
    """Returns the version with the alias; creates the registered model if there is none."""
    found = client.search_registered_models(f"name = '{name}'")
    if not found:
        client.create_registered_model(name, description=ABOUT)
        return None
    version = found[0].aliases.get(CHAMPION)
    return client.get_model_version(name, version) if version else None


def _as_good(present: Mapping[str, str], new: Mapping[str, str]) -> bool:
    same = all(present.get(key) == new[key] for key in ("split", "dataset.sha256"))
    return same and float(present["top_1_accuracy"]) >= float(new["top_1_accuracy"])


def _describe(tags: Mapping[str, str]) -> str:
    return f"{tags['model']} ({float(tags['top_1_accuracy']):.2%} top-1 on {tags['split']})"


def _version(client: MlflowClient, name: str, run_id: str, model_id: str) -> str:
    """Returns the version of a run's model; creates it if there is none."""
    found = client.search_model_versions(f"name = '{name}' and run_id = '{run_id}'")
    if not found:
        found = [client.create_model_version(name, f"models:/{model_id}", run_id=run_id, model_id=model_id)]
    return str(found[0].version)
