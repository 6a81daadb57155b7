"""What the commands beside the pipeline share: a checkout's trained models, and one line for what is wrong."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tiny_imagenet.data.tfrecords import Manifest, load_manifest
from tiny_imagenet.disk import full_disk_errors
from tiny_imagenet.errors import InputError, PipelineError
from tiny_imagenet.strict_yaml import nearest

if TYPE_CHECKING:
    import keras  # imported late elsewhere: a wrong argument must not take the seconds that it does


@contextmanager
def command_process(command: str) -> Iterator[None]:
    """Runs a command's body: a PipelineError, or a full disk, becomes one line on stderr and an exit status."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `... | head` ends it quietly
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a file's name can be any bytes
    try:
        with full_disk_errors():
            yield
    except KeyboardInterrupt:
        print(f"{command}: interrupted", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    except PipelineError as error:
        print(f"error: {command}: {error}", file=sys.stderr)
        sys.exit(error.exit_status)


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
        flip_averaging: Whether it was evaluated by the mean of its logits for an image and for its mirror image.
    """

    name: str
    folder: Path
    manifest: Manifest
    flip_averaging: bool

    def load(self) -> keras.Model:
        """Loads it; imports TensorFlow.

        Raises:
            InputError: The file is not the one that training saved.
        """
        from tiny_imagenet.evaluation.saved_models import load_model, load_run

        digest = load_run(self.folder / "run.json")["model_sha256"]
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
    flip_averaging = bool(_metrics(root, name, "training").get("flip_averaging", False))
    return TrainedModel(name, found[name], load_manifest(root / "data" / "records"), flip_averaging)


def _metrics(root: Path, name: str, file: str) -> dict[str, Any]:
    """Returns what a stage wrote of a model; nothing where it did not run."""
    path = root / "metrics" / name / f"{file}.json"
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError) as error:
        raise InputError(path, f"cannot be read: {error}", "run `dvc checkout`") from None
