"""The trained models of a checkout."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel

from tiny_imagenet.core.errors import InputError
from tiny_imagenet.core.run_record import TrainingRecord
from tiny_imagenet.core.strict_yaml import load_json, nearest
from tiny_imagenet.dataset.manifest import Manifest, load_manifest

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

T = TypeVar("T", bound=BaseModel)


class Evaluation(BaseModel):
    """The content of evaluation.json that ranks models; its other keys are ignored."""

    top_1_accuracy: float


@dataclass(frozen=True)
class TrainedModel:
    """A model that `dvc repro` trained, with what is needed to use it.

    Attributes:
        name: Its key in params.yaml.
        folder: The folder of model.keras and run.json.
        manifest: Of the records that it was trained on: the classes and the image size.
        flip_tta: Whether evaluation averaged the logits of each image and of its mirror image.
    """

    name: str
    folder: Path
    manifest: Manifest
    flip_tta: bool

    def load(self) -> tuple[keras.Model, tf.distribute.Strategy]:
        """Loads the model on a single device, the GPU if there is one; imports TensorFlow, which takes seconds.

        Raises:
            InputError: The file is missing, damaged, or not the one that training saved.
        """
        print(f"{self.name}: loading the model ...", file=sys.stderr, flush=True)

        from tiny_imagenet.distribute import devices  # before TensorFlow: it sets environment variables for it

        # isort: split
        from tiny_imagenet.evaluation.saved_models import load_model, load_run_file

        digest = load_run_file(self.folder / "run.json").model_sha256
        strategy = devices.make_strategy("auto", "single", alone=True)
        with strategy.scope():
            path, manifest = self.folder / "model.keras", self.manifest
            return load_model(path, digest, manifest.image_size, manifest.num_classes), strategy


def add_root_argument(parser: argparse.ArgumentParser) -> None:
    """Adds the option `--root`."""
    text = "a checkout after `dvc repro` (after `make demo`: .demo); default: the current folder"
    parser.add_argument("--root", type=Path, default=Path(), metavar="FOLDER", help=text)


def find_model(root: Path, name: str | None) -> TrainedModel:
    """Finds a trained model in a checkout; without a name, the one with the best top-1 accuracy.

    Raises:
        InputError: There is no trained model, or none of that name, or its files cannot be read.
    """
    folders = {path.parent.name: path.parent for path in sorted(root.glob("models/*/model.keras"))}
    if not folders:
        raise InputError(root / "models", "holds no trained model", "run `dvc repro`, or name a checkout with --root")
    if name is not None and name not in folders:
        raise InputError(f"{root / 'models'}: {name}", "no such trained model", nearest(name, folders))
    name = name or max(folders, key=lambda each: _top_1_accuracy(root / "metrics" / each))
    training = _load_if_present(TrainingRecord, root / "metrics" / name / "training.json")
    flip_tta = training is not None and training.flip_tta
    return TrainedModel(name, folders[name], load_manifest(root / "data" / "records"), flip_tta)


def _top_1_accuracy(metrics: Path) -> float:
    """Returns a model's accuracy; a model that is not evaluated comes last."""
    evaluation = _load_if_present(Evaluation, metrics / "evaluation.json")
    return evaluation.top_1_accuracy if evaluation else -1.0


def _load_if_present(kind: type[T], path: Path) -> T | None:
    return load_json(kind, path, "run `dvc checkout`") if path.exists() else None
