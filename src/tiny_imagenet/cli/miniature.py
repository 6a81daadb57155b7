"""A revision's code in a folder of its own, run on a few images of the dataset."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tiny_imagenet.archive.zip_archive import Archive
from tiny_imagenet.core.errors import InputError, PipelineError
from tiny_imagenet.core.files import sha256_of
from tiny_imagenet.records.splits import Image, load_dataset

CODE = ("src", "stages", "params.yaml")
DVC_FILES = ":(glob)*dvc*"  # dvc.yaml, and .dvcignore if there is one, beside it
NUM_IMAGES = {"train": 600, "val": 200}  # about: of all classes the same number; two steps or more of each recipe
TEST_IMAGES = 10
NAME = "miniature"  # of the dataset
# Parameters that a miniature replaces, or whose effect shows on a whole dataset only.
HIDDEN = ("dataset", "datasets", "preprocess", "evaluation.batch_size", "report", "published")


@dataclass(frozen=True)
class Miniature:
    """A folder with a revision's src/, stages/ and params.yaml, in which its stages run."""

    folder: Path

    def params(self) -> dict[str, Any]:
        """Reads params.yaml."""
        return dict(YAML(typ="safe", pure=True).load((self.folder / "params.yaml").read_text(encoding="utf-8")))

    def write_params(self, archive: Path | None, models: Sequence[str]) -> None:
        """Sets the dataset of params.yaml, the built-in digits if there is no archive, and keeps these models."""
        params = self.params()
        params["dataset"] = NAME if archive else "digits"
        if archive:
            params["datasets"][NAME] = {"sha256": sha256_of(archive)}
        params["models"] = {name: params["models"][name] for name in models}
        params["report"]["champion"] = False
        with (self.folder / "params.yaml").open("w", encoding="utf-8") as file:
            YAML(typ="safe", pure=True).dump(params, file)

    def run(self, stage: str, *words: str) -> None:
        """Runs a stage.

        Raises:
            PipelineError: It failed; shows the last line that it printed.
        """
        own = {key: value for key, value in os.environ.items() if not key.startswith(("DVC_", "MLFLOW_"))}
        environment = own | {"PYTHONPATH": "src", "TINY_IMAGENET_ARCHIVE": str(self.folder.parent / f"{NAME}.zip")}
        command = [sys.executable, f"stages/{stage}.py", *words]
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise PipelineError(f"{self.folder.name}: {stage} {' '.join(words)}", f"failed: {last}", "correct it")

    def forget_times(self, models: Sequence[str]) -> None:
        """Deletes the times of training, which the report shows: the MLflow store, and run.json of earlier versions."""
        shutil.rmtree(self.folder / "mlruns", ignore_errors=True)
        for path in (self.folder / f"models/{name}/run.json" for name in models):
            if path.exists():
                run = json.loads(path.read_text(encoding="utf-8"))
                path.write_text(json.dumps(run | {"train_seconds": None}), encoding="utf-8")


def hidden_parameters(names: Iterable[str], models: Sequence[str]) -> list[str]:
    """Returns those of the parameters, by dotted name, that a miniature with these models does not show."""
    hidden = [name for name in names if name.startswith("models.") and name.split(".")[1] not in models]
    hidden += [name for name in names if any(name == each or name.startswith(f"{each}.") for each in HIDDEN)]
    return sorted(hidden)


def check_out_revision(root: Path, revision: str, folder: Path) -> None:
    """Writes a revision's code, dvc.yaml and .dvcignore to a folder.

    Raises:
        InputError: There is no such revision.
    """
    folder.mkdir(parents=True)
    command = ["git", "archive", "--format=tar", revision, *CODE, DVC_FILES]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as git:
        assert git.stdout is not None
        assert git.stderr is not None
        try:
            with tarfile.open(fileobj=git.stdout, mode="r|") as files:
                files.extractall(folder, filter="data")
        except tarfile.ReadError:
            lines = git.stderr.read().decode(errors="replace").strip().splitlines()
            what = f"cannot be read ({lines[0] if lines else 'git failed'})"
            raise InputError(f"revision {revision}", what, "name a commit, branch or tag") from None


def copy_code(root: Path, folder: Path) -> None:
    """Copies the code as it is in a folder, committed or not."""
    folder.mkdir(parents=True)
    for name in CODE:
        if (root / name).is_dir():
            shutil.copytree(root / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy2(root / name, folder / name)


def code_digest(root: Path) -> str:
    """Returns the digest of the code in a working tree."""
    files = [path for name in CODE for path in ((root / name).rglob("*") if (root / name).is_dir() else [root / name])]
    digest = hashlib.sha256()
    for path in sorted(files):
        if path.is_file() and path.suffix != ".pyc":
            digest.update(f"{path.relative_to(root)} {sha256_of(path)}\n".encode())
    return digest.hexdigest()


def write_miniature_archive(source: Path | None, path: Path) -> Path | None:
    """Writes the first images of each class of an archive; returns None if there is no archive.

    Raises:
        InputError: The archive cannot be read.
    """
    if source is None:
        return None
    with Archive(source) as full, zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as small:
        dataset = load_dataset(full)
        images = dataset.splits.get("test", [])[:TEST_IMAGES]
        for split, count in NUM_IMAGES.items():
            images += _first_per_class(dataset.splits[split], -(-count // len(dataset.classes)))
        val = [image for image in images if image.name.startswith("val/")]
        lines = [f"{image.name.rpartition('/')[2]}\t{dataset.classes[image.label].wnid}\n" for image in val]
        small.writestr(f"{full.root}/val/val_annotations.txt", "".join(lines))
        for name in ("wnids.txt", "words.txt", *(image.name for image in images)):
            small.writestr(f"{full.root}/{name}", full.read(name))
    return path


def _first_per_class(images: Iterable[Image], count: int) -> list[Image]:
    """Returns the first `count` images of each class."""
    seen: Counter[int] = Counter()
    kept = []
    for image in images:
        seen[image.label] += 1
        if seen[image.label] <= count:
            kept.append(image)
    return kept
