"""Reads, checks and resolves params.yaml: for each model the settings of its training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tiny_imagenet.core.errors import InputError
from tiny_imagenet.core.schema import Debug, File, ModelSettings, Params
from tiny_imagenet.core.strict_yaml import check, nearest, read_yaml

OVERRIDES = ("lr", "epochs", "batch_size")  # top-level keys that replace those of all models, unless null
OWN_KEYS = ("architecture", "recipe", "arguments", "seed")  # of an entry of `models`; its other keys change its recipe
OVERFIT: dict[str, Any] = {  # set by debug.overfit_batches: these keys keep the loss of a few images from reaching zero
    "augmentation": {},
    "dropout": 0.0,
    "ema_momentum": 0.0,
    "l2": 0.0,
    "label_smoothing": 0.0,
    "progressive_resizing": None,
    "weight_decay": 0.0,
}
RENAMED_ARCHITECTURES = {"transfer": "pretrained"}


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Reads params.yaml.

    Raises:
        InputError: The file is missing, or a key is invalid; names the key, its value and the valid ones.
    """
    raw = read_yaml(path)
    file = check(File, raw, str(path))
    if file.dataset not in file.datasets:
        raise InputError(f"{path}: dataset", f"no dataset {file.dataset!r}", nearest(file.dataset, file.datasets))
    if not file.models:
        raise InputError(f"{path}: models", "is empty", "name at least one model")
    return Params(
        dataset_name=file.dataset,
        dataset=file.datasets[file.dataset],
        seed=file.seed,
        device=file.device,
        strategy=file.strategy,
        preprocess=file.preprocess,
        training=file.training,
        models={name: _resolve(f"{path}: models.{name}", name, raw, file.debug) for name in file.models},
        evaluation=file.evaluation,
        report=file.report,
        published=file.published.get(file.dataset, {}),
    )


def _resolve(where: str, name: str, raw: Mapping[str, Any], debug: Debug) -> ModelSettings:
    """Returns a model's settings: its recipe, updated by its own keys, then by the top-level overrides and `debug`."""
    entry, recipes = raw["models"][name], raw["recipes"]
    recipe = _choose(f"{where}.recipe", entry.get("recipe"), recipes, "recipe")
    architecture = _choose(f"{where}.architecture", entry.get("architecture"), architectures(), "architecture")
    changes = {key: value for key, value in entry.items() if key not in OWN_KEYS}
    overrides = {key: raw[key] for key in OVERRIDES if raw[key] is not None}
    own = {
        "model": name,
        "architecture": architecture,
        "arguments": entry.get("arguments", {}),
        "recipe": recipe,
        "recipe_epochs": recipes[recipe]["epochs"],
        "dataset": raw["dataset"],
        "seed": entry.get("seed", raw["seed"]),
        "debug": debug if debug != Debug() else None,
    }
    if unknown := sorted(own.keys() & changes.keys()):
        raise InputError(f"{where}: {unknown[0]}", "unknown key", "remove it")
    overrides |= OVERFIT if debug.overfit_batches else {}
    return check(ModelSettings, {**_merge(recipes[recipe], changes), **overrides, **own}, where)


def _choose(where: str, name: Any, known: Any, kind: str) -> str:
    """Returns `name` if it is known.

    Raises:
        InputError: It is missing, no string, renamed or unknown.
    """
    if name is None:
        raise InputError(where, "is missing", "add it")
    if not isinstance(name, str):
        raise InputError(where, f"got {name!r}", "give one name")
    if name in RENAMED_ARCHITECTURES and kind == "architecture":
        raise InputError(where, f"{name!r} is now {RENAMED_ARCHITECTURES[name]!r}", "rename it")
    if name not in known:
        raise InputError(where, f"no {kind} {name!r}", nearest(name, known))
    return name


def architectures() -> list[str]:
    """Returns the values that `models.<name>.architecture` can have: the names of the files in models/."""
    return sorted(path.stem for path in (Path(__file__).parents[1] / "models").glob("[!_]*.py"))


def _merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in changes.items():
        both = isinstance(value, dict) and isinstance(base.get(key), dict)
        merged[key] = _merge(base[key], value) if both else value
    return merged
