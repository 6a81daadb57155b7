"""The schedule over epochs: image sizes by Composer's rule, frozen epochs first."""

from typing import Any

import pytest

from tiny_imagenet.core.schema import Recipe
from tiny_imagenet.training.epoch_schedule import EpochSettings, epoch_schedule


def recipe(epochs: int, **changes: Any) -> Recipe:
    return Recipe(optimizer="sgd", lr=0.1, batch_size=1, epochs=epochs, **changes)


def resizing(**changes: float) -> dict[str, Any]:
    defaults = {"initial_scale": 0.5, "delay_fraction": 0.25, "finetune_fraction": 0.25, "size_increment": 8}
    return {"progressive_resizing": defaults | changes}


def image_sizes(epochs: int, image_size: int, **changes: float) -> list[int]:
    return [epoch.image_size for epoch in epoch_schedule(recipe(epochs, **resizing(**changes)), image_size)]


def test_all_epochs_are_equal_by_default() -> None:
    assert epoch_schedule(recipe(3), 64) == [EpochSettings(64)] * 3


def test_images_grow_by_composers_rule() -> None:
    assert image_sizes(8, 64) == [32, 32, 32, 40, 48, 56, 64, 64]  # half at first, full in the last quarter
    assert image_sizes(4, 64, initial_scale=1.0) == [64] * 4
    assert image_sizes(2, 64) == [32, 48]
    assert image_sizes(4, 64, delay_fraction=0.5, finetune_fraction=0.5) == [32, 32, 64, 64]


def test_the_full_size_need_not_be_a_multiple_of_the_increment() -> None:
    assert image_sizes(4, 12, size_increment=5) == [5, 5, 10, 12]


def test_fractions_above_one_together_are_refused() -> None:
    with pytest.raises(ValueError, match="delay_fraction \\+ finetune_fraction must be at most 1"):
        recipe(4, **resizing(delay_fraction=0.8))


def test_frozen_epochs_come_first() -> None:
    assert [epoch.frozen for epoch in epoch_schedule(recipe(3, frozen_epochs=1), 64)] == [True, False, False]
