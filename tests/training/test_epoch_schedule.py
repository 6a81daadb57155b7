from typing import Any

import pytest

from tiny_imagenet.core.schema import Recipe
from tiny_imagenet.training.epoch_schedule import Phase, plan


def recipe(epochs: int, **changes: Any) -> Recipe:
    return Recipe(optimizer="sgd", lr=0.1, batch_size=1, epochs=epochs, **changes)


def resizing(**changes: float) -> dict[str, Any]:
    plain = {"initial_scale": 0.5, "delay_fraction": 0.25, "finetune_fraction": 0.25, "size_increment": 8}
    return {"progressive_resizing": plain | changes}


def test_nothing_differs_unless_the_recipe_says_so() -> None:
    assert plan(recipe(3), 64) == [Phase(64)] * 3


def test_images_grow_as_composer_has_it() -> None:
    sizes = [phase.image_size for phase in plan(recipe(8, **resizing()), 64)]
    assert sizes == [32, 32, 32, 40, 48, 56, 64, 64]  # half for a quarter of the time, whole for the last quarter
    assert [phase.image_size for phase in plan(recipe(4, **resizing(initial_scale=1.0)), 64)] == [64] * 4
    assert [phase.image_size for phase in plan(recipe(2, **resizing()), 64)] == [32, 48]
    steps = plan(recipe(4, **resizing(delay_fraction=0.5, finetune_fraction=0.5)), 64)
    assert [phase.image_size for phase in steps] == [32, 32, 64, 64]


def test_a_size_that_is_no_multiple_is_reached_all_the_same() -> None:
    assert [phase.image_size for phase in plan(recipe(4, **resizing(size_increment=5)), 12)] == [5, 5, 10, 12]


def test_more_than_the_whole_training_is_refused() -> None:
    with pytest.raises(ValueError, match="more than the training"):
        recipe(4, **resizing(delay_fraction=0.8))


def test_frozen_epochs_come_first() -> None:
    assert [phase.frozen for phase in plan(recipe(3, frozen_epochs=1), 64)] == [True, False, False]
