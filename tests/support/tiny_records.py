"""Small outputs of preprocess: records of 16 x 16 pixels and 3 classes, and a params.yaml that suits them."""

from __future__ import annotations

import copy
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import yaml
from tests.support.tiny_archive import SIZE, WNIDS, jpeg

from tiny_imagenet.core.schema import Augmentation
from tiny_imagenet.dataset.classes import Class
from tiny_imagenet.dataset.manifest import Manifest, Split, write_manifest
from tiny_imagenet.records.writer import write_shard

REPOSITORY = Path(__file__).parents[2]
DATASET = "tiny-imagenet-200"
CLASSES = tuple(Class(wnid, f"class {label}, also {wnid}") for label, wnid in enumerate(WNIDS))
TINY = {"architecture": "simple_cnn", "recipe": "paper", "arguments": {"filters": 4, "hidden_units": 8}}
NOTHING = Augmentation()
AUGMENTATION = Augmentation(rotation_degrees=20.0, shift_fraction=0.1, brightness=(0.5, 1.5), flip="random")


def example(seed: int, label: int, mode: str = "RGB") -> dict[str, Any]:
    return {
        "image/encoded": jpeg(seed, mode=mode),
        "image/format": b"jpeg",
        "image/height": SIZE,
        "image/width": SIZE,
        "image/class/label": label,
        "image/class/synset": WNIDS[label].encode(),
        "image/class/text": CLASSES[label].words.encode(),
        "image/filename": f"{seed}.JPEG".encode(),
    }


def write_records(folder: Path, train: int = 26, val: int = 7) -> Manifest:
    """Writes train (two shards) and val (one) with so many images; every fifth image is a grayscale JPEG."""
    folder.mkdir(parents=True)
    splits = {}
    for start, (split, count, num_shards) in enumerate([("train", train, 2), ("val", val, 1)]):
        examples = [
            example(10_000 * start + i, (i + start) % len(WNIDS), "L" if i % 5 == 0 else "RGB") for i in range(count)
        ]
        parts = np.array_split(np.arange(count), num_shards)
        shards = [
            write_shard(folder / f"{split}-{i:05}-of-{num_shards:05}.tfrecord", [examples[at] for at in part])
            for i, part in enumerate(parts)
        ]
        splits[split] = Split.of(shards)
    manifest = Manifest(DATASET, SIZE, CLASSES, splits, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2))
    write_manifest(folder, manifest)
    return manifest


def shrunk_params(**changes: Any) -> dict[str, Any]:
    """Returns the repository's params.yaml with one tiny model, few steps, and changes at the top level."""
    params: dict[str, Any] = yaml.safe_load((REPOSITORY / "params.yaml").read_text(encoding="utf-8"))
    params["models"] = {"tiny": copy.deepcopy(TINY)}
    params["device"] = "cpu"
    params |= {"epochs": 2, "batch_size": 8, "lr": 0.05}
    params["evaluation"]["batch_size"] = 4
    return params | changes


def write_params(folder: Path, params: Mapping[str, Any]) -> None:
    (folder / "params.yaml").write_text(yaml.safe_dump(dict(params), sort_keys=False), encoding="utf-8")


def write_project(folder: Path, store: Path, train: int = 26, val: int = 7, **changes: Any) -> Path:
    """Writes params.yaml, records, and an empty tracking store (a copy: making one takes seconds)."""
    folder.mkdir(parents=True, exist_ok=True)
    write_params(folder, shrunk_params(**changes))
    write_records(folder / "data" / "records", train, val)
    shutil.copytree(store, folder / "mlruns")
    return folder


def import_stage(name: str) -> ModuleType:
    """Imports a stage, to run in this process: TensorFlow is imported once for all tests."""
    spec = importlib.util.spec_from_file_location(f"{name}_stage", REPOSITORY / "stages" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    stage = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(stage)
    return stage


def start_stage(folder: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Starts a stage as its command, in `folder`."""
    name, *rest = arguments
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("DVC_", "MLFLOW_"))}
    return subprocess.Popen(
        [sys.executable, str(REPOSITORY / "stages" / f"{name}.py"), *rest],
        cwd=folder,
        env=clean | {"PYTHONPATH": str(REPOSITORY / "src")} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_stage(folder: Path, *arguments: str, **environment: str) -> tuple[int, str, str]:
    with start_stage(folder, *arguments, **environment) as process:
        out, err = process.communicate(timeout=300)
    return process.returncode, out, err
