"""params.yaml read, checked, and each model's recipe resolved."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tiny_imagenet.errors import InputError
from tiny_imagenet.schema import File, Model, Params, Recipe
from tiny_imagenet.strict_yaml import check, nearest, read_yaml


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Reads and checks params.yaml.

    Raises:
        InputError: Names the key at fault, what it holds and what it should hold.
    """
    raw = read_yaml(path)
    file = check(File, raw, str(path))
    if file.dataset not in file.datasets:
        raise InputError(f"{path}: dataset", f"no dataset {file.dataset!r}", nearest(file.dataset, file.datasets))
    if not file.models:
        raise InputError(f"{path}: models", "is empty", "name at least one model")
    overrides = {key: raw[key] for key in ("lr", "epochs", "batch_size") if raw[key] is not None}
    return Params(
        dataset_name=file.dataset,
        dataset=file.datasets[file.dataset],
        seed=file.seed,
        device=file.device,
        strategy=file.strategy,
        preprocess=file.preprocess,
        training=file.training,
        models={
            name: _resolve(path, name, entry, raw["recipes"], overrides, file.seed)
            for name, entry in file.models.items()
        },
        evaluation=file.evaluation,
        report=file.report,
        published=file.published.get(file.dataset, {}),
    )


def describe(model: Model, dataset_name: str) -> dict[str, Any]:
    """Returns all that is set for a model, as its results and its run tell it: the recipe's keys beside its own."""
    return {
        "model": model.name,
        "architecture": model.architecture,
        "arguments": model.arguments,
        "recipe": model.recipe_name,
        "recipe_epochs": model.recipe_epochs,
        **dataclasses.asdict(model.recipe),
        "dataset": dataset_name,
        "seed": model.seed,
    }


def as_flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Returns a dataclass as one flat mapping with dotted keys, as a tracking server shows parameters."""
    if not dataclasses.is_dataclass(value) and not isinstance(value, Mapping):
        return {prefix: value}
    fields = dataclasses.asdict(value) if not isinstance(value, Mapping) else value  # type: ignore[arg-type]
    flat: dict[str, Any] = {}
    for key, item in fields.items():
        flat |= as_flat(item, f"{prefix}.{key}" if prefix else key)
    return flat


def _resolve(
    path: Path, name: str, entry: dict[str, Any], recipes: dict[str, Any], overrides: dict[str, Any], seed: int
) -> Model:
    where = f"{path}: models.{name}"
    rest = dict(entry)
    architecture, recipe_name = rest.pop("architecture", None), rest.pop("recipe", None)
    arguments = rest.pop("arguments", {})
    seed = rest.pop("seed", seed)
    if architecture is None or recipe_name is None:
        missing = "architecture" if architecture is None else "recipe"
        raise InputError(f"{where}.{missing}", "is missing", "add it")
    for key, value in (("architecture", architecture), ("recipe", recipe_name)):
        if not isinstance(value, str):
            raise InputError(f"{where}.{key}", f"got {value!r}", "name one")
    if architecture not in architectures():
        raise InputError(
            f"{where}.architecture", f"no architecture {architecture!r}", nearest(architecture, architectures())
        )
    if recipe_name not in recipes:
        raise InputError(f"{where}.recipe", f"no recipe {recipe_name!r}", nearest(recipe_name, recipes))
    recipe = check(Recipe, _merge(_merge(recipes[recipe_name], rest), overrides), where)
    return check(
        Model,
        {
            "name": name,
            "architecture": architecture,
            "recipe_name": recipe_name,
            "recipe_epochs": recipes[recipe_name]["epochs"],
            "recipe": recipe,
            "seed": seed,
            "arguments": arguments,
        },
        where,
    )


def architectures() -> list[str]:
    """Returns the names that `models.<name>.architecture` can take: one a file in models/."""
    return sorted(path.stem for path in (Path(__file__).parent / "models").glob("[!_]*.py"))


def _merge(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in changes.items():
        both = isinstance(value, dict) and isinstance(base.get(key), dict)
        merged[key] = _merge(base[key], value) if both else value
    return merged
