"""What the commands beside the pipeline share: a checkout's trained models, and one line for what is wrong."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tiny_imagenet.core.errors import InputError
from tiny_imagenet.core.strict_yaml import nearest
from tiny_imagenet.dataset.manifest import Manifest, load_manifest

if TYPE_CHECKING:
    import keras  # imported late elsewhere: a wrong argument must not take the seconds that it does


def add_root_argument(parser: argparse.ArgumentParser) -> None:
    """Adds `--root`."""
    what = "a checkout after `dvc repro` (after `make demo`: .demo); default: the current folder"
    parser.add_argument("--root", type=Path, default=Path(), metavar="FOLDER", help=what)


@dataclass(frozen=True)
class TrainedModel:
    """A model that `dvc repro` left in a checkout, and what its answers mean.

    Attributes:
        name: Its key in params.yaml.
        folder: Where it lies.
        manifest: The data it was trained on.
        flip_tta: Whether it was evaluated by the mean of its logits for an image and for its mirror image.
    """

    name: str
    folder: Path
    manifest: Manifest
    flip_tta: bool

    def load(self) -> keras.Model:
        """Loads it; imports TensorFlow.

        Raises:
            InputError: The file is not the one that training saved.
        """
        from tiny_imagenet.evaluation.saved_models import load_model, load_run_file

        digest = load_run_file(self.folder / "run.json").model_sha256
        return load_model(self.folder / "model.keras", digest, self.manifest.image_size, self.manifest.num_classes)


def find_model(root: Path, name: str | None) -> TrainedModel:
    """Finds a trained model in a checkout; without a name, the one with the best top-1 accuracy on val.

    Raises:
        InputError: There is none, or none of that name.
    """
    found = {path.parent.name: path.parent for path in sorted(root.glob("models/*/model.keras"))}
    if not found:
        raise InputError(root / "models", "holds no trained model", "run `dvc repro`, or name a checkout with --root")
    if name is not None and name not in found:
        raise InputError(f"{root / 'models'}: {name}", "no such trained model", nearest(name, found))
    name = name or max(found, key=lambda each: float(_metrics(root, each, "evaluation").get("top_1_accuracy", 0)))
    flip_tta = bool(_metrics(root, name, "training").get("flip_tta", False))
    return TrainedModel(name, found[name], load_manifest(root / "data" / "records"), flip_tta)


def _metrics(root: Path, name: str, file: str) -> dict[str, Any]:
    """Returns what a stage wrote of a model; nothing where it did not run."""
    path = root / "metrics" / name / f"{file}.json"
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError) as error:
        raise InputError(path, f"cannot be read: {error}", "run `dvc checkout`") from None
