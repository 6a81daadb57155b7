"""The settings: their defaults, ranges and types."""

import itertools
from typing import Any

import pytest
from pydantic import ValidationError

from tiny_imagenet.core.schema import (
    Augmentation,
    Dataset,
    ModelSettings,
    ProgressiveResizing,
    RandomResizedCrop,
    Recipe,
    Record,
)

RECIPE: dict[str, Any] = {"optimizer": "sgd", "lr": 0.1, "epochs": 2, "batch_size": 8}
OWN: dict[str, Any] = {
    "model": "tiny",
    "architecture": "vgg",
    "arguments": {"filters": [4, 8], "activation": "relu", "nested": {"a": None}},
    "recipe": "paper",
    "recipe_epochs": 40,
    "dataset": "digits",
    "seed": 3,
}
SHA256 = "0" * 64


def all_records(base: type[Record] = Record) -> set[type[Record]]:
    return {base}.union(*(all_records(each) for each in base.__subclasses__()))


def test_a_removed_key_of_earlier_records_is_read_if_it_was_off() -> None:
    assert ModelSettings(**RECIPE, **OWN, clip_norm=None) == ModelSettings(**RECIPE, **OWN)
    with pytest.raises(ValidationError, match="clip_norm"):
        ModelSettings(**RECIPE, **OWN, clip_norm=1.0)


def test_a_recipe_has_every_technique_off_by_default() -> None:
    recipe = Recipe(**RECIPE)
    for key in ("momentum", "warmup_fraction", "weight_decay", "ema_momentum", "l2", "dropout", "label_smoothing"):
        assert getattr(recipe, key) == 0
    assert (recipe.schedule, recipe.precision) == ("constant", "float32")
    assert (recipe.progressive_resizing, recipe.frozen_epochs) == (None, 0)
    assert not recipe.flip_tta
    assert not recipe.xla
    assert recipe.augmentation == Augmentation()


def test_settings_are_flat_and_keep_their_types() -> None:
    settings = ModelSettings(**RECIPE, **OWN, augmentation={"flip": "random", "random_resized_crop": {}})
    assert (settings.lr, settings.batch_size, settings.seed) == (0.1, 8, 3)
    assert settings.augmentation == Augmentation(flip="random", random_resized_crop=RandomResizedCrop())
    assert settings.arguments == OWN["arguments"]
    assert ModelSettings.model_validate(settings.model_dump()) == settings
    assert ModelSettings.model_validate_json(settings.model_dump_json()) == settings


def test_records_are_frozen_and_compared_by_value() -> None:
    recipe = Recipe(**RECIPE)
    with pytest.raises(ValidationError, match="frozen"):
        recipe.lr = 1.0  # type: ignore[misc]
    assert recipe == Recipe(**RECIPE)
    assert recipe != Recipe(**RECIPE | {"lr": 0.2})
    assert recipe.model_copy(update={"lr": 0.2}) == Recipe(**RECIPE | {"lr": 0.2})


@pytest.mark.parametrize(
    "record", sorted(all_records(), key=lambda each: each.__name__), ids=lambda each: each.__name__
)
def test_unknown_keys_are_an_error_in_every_record(record: type[Record]) -> None:
    with pytest.raises(ValidationError, match=r"zzz\n  Extra inputs are not permitted"):
        record.model_validate({"zzz": 1})


@pytest.mark.parametrize(("key", "value"), [("lr", float("nan")), ("weight_decay", float("inf")), ("l2", -1e-9)])
def test_numbers_are_finite_and_in_range(key: str, value: float) -> None:
    with pytest.raises(ValidationError, match=key):
        Recipe(**RECIPE | {key: value})


@pytest.mark.parametrize(
    ("key", "value"),
    [("epochs", True), ("epochs", 2.0), ("epochs", "2"), ("lr", "0.1"), ("lr", True), ("flip_tta", 1), ("xla", "yes")],
)
def test_no_value_is_converted_to_another_type(key: str, value: object) -> None:
    with pytest.raises(ValidationError, match=key):
        Recipe(**RECIPE | {key: value})


def test_a_whole_number_is_a_valid_real_number() -> None:
    assert Recipe(**RECIPE | {"lr": 1}) == Recipe(**RECIPE | {"lr": 1.0})


@pytest.mark.parametrize("fractions", list(itertools.product((0.0, 0.4, 0.6, 1.0), repeat=2)))
def test_the_ends_of_progressive_resizing_fit_into_the_training(fractions: tuple[float, float]) -> None:
    keys = dict(zip(("delay_fraction", "finetune_fraction"), fractions, strict=True))
    if sum(fractions) <= 1:
        ProgressiveResizing(initial_scale=0.5, size_increment=4, **keys)
    else:
        with pytest.raises(ValidationError, match=r"delay_fraction \+ finetune_fraction must be at most 1"):
            ProgressiveResizing(initial_scale=0.5, size_increment=4, **keys)


@pytest.mark.parametrize("pair", [(0.5, 0.2), (1.1, 1.0)])
def test_ranges_are_ordered(pair: tuple[float, float]) -> None:
    with pytest.raises(ValidationError, match="lowest, highest"):
        Augmentation(brightness=pair)
    with pytest.raises(ValidationError, match="lowest, highest"):
        RandomResizedCrop(ratio=pair)


@pytest.mark.parametrize(
    ("keys", "valid"),
    [
        ({"builtin": "digits"}, True),
        ({"url": "https://x", "sha256": SHA256}, True),
        ({"content_sha256": SHA256}, True),
        ({"url": "https://x"}, False),
        ({"builtin": "digits", "sha256": SHA256}, False),
        ({}, False),
    ],
)
def test_a_dataset_has_one_source(keys: dict[str, Any], valid: bool) -> None:
    if valid:
        assert Dataset(**keys).model_dump(exclude_none=True) == keys
    else:
        with pytest.raises(ValidationError, match="needs either `builtin`, or `sha256` or `content_sha256`"):
            Dataset(**keys)


@pytest.mark.parametrize("digest", ["0" * 63, "0" * 65, "G" * 64, "A" * 64])
def test_a_digest_is_sixty_four_lower_case_hexadecimal_digits(digest: str) -> None:
    with pytest.raises(ValidationError, match="sha256"):
        Dataset(sha256=digest)
