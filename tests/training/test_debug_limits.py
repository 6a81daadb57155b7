"""Debug runs: their images and steps, exact resume, and a network that learns a few images by heart."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from tests.support.tiny_records import REPOSITORY
from tests.training.test_loop import SETTINGS, SPLITS, TRAIN, VAL, make_trainer, run, state

from tiny_imagenet.core.errors import InputError
from tiny_imagenet.core.params import load_params
from tiny_imagenet.core.process import Stopped
from tiny_imagenet.core.schema import Debug, ModelSettings
from tiny_imagenet.images.decoding import DecodedSplit
from tiny_imagenet.training.debug_limits import limit_splits, limit_steps


def limited(**limits: Any) -> tuple[int, int, int]:
    """Returns the numbers of train images, of val images, and of steps an epoch."""
    settings = ModelSettings(**SETTINGS | {"debug": limits})
    train, val = limit_splits(SPLITS, settings)
    for ours, of_all in ((train, TRAIN), (val, VAL)):
        np.testing.assert_array_equal(ours.images, of_all.images[: len(ours.images)])
        np.testing.assert_array_equal(ours.labels, of_all.labels[: len(ours.images)])
    return len(train.labels), len(val.labels), limit_steps(len(train.labels) // settings.batch_size, settings)


def test_a_normal_training_has_all_images_and_steps() -> None:
    settings = ModelSettings(**SETTINGS)
    assert limit_splits(SPLITS, settings) is SPLITS
    assert limit_steps(4, settings) == 4


def test_a_debug_run_has_the_first_images() -> None:
    """Of 35 train and 10 val images, in batches of 8; val has no more images than an epoch trains on."""
    assert limited(fraction=0.6) == (21, 10, 2)
    assert limited(steps=3) == (35, 10, 3)
    assert limited(steps=100) == (35, 10, 4)
    assert limited(steps=1) == (35, 8, 1)
    assert limited(fraction=0.6, steps=1) == (21, 8, 1)
    assert limited(overfit_batches=1) == (8, 8, 1)
    assert limited(overfit_batches=4) == (32, 10, 4)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"fraction": 0.2}, "debug.fraction: 0.2 of 35 images is less than one batch of 8; raise it, or lower `batch_"),
        ({"overfit_batches": 5}, "debug.overfit_batches: 5 batches of 8 are more than the 35 images; lower it, or"),
    ],
)
def test_limits_that_do_not_fit_the_data_are_refused(tmp_path: Path, limits: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message.replace(".", r"\.")):
        make_trainer(tmp_path, debug=limits)


@pytest.mark.parametrize("limits", [{"fraction": 0.6, "steps": 1}, {"overfit_batches": 2}], ids=str)
def test_a_debug_run_resumes_exactly(tmp_path: Path, limits: dict[str, Any]) -> None:
    uninterrupted = make_trainer(tmp_path / "uninterrupted", debug=limits)
    run(uninterrupted)
    assert uninterrupted.progress.step == 2 * limited(**limits)[2]
    first = make_trainer(tmp_path / "stopped", debug=limits)
    with pytest.raises(Stopped):
        run(first, lambda: first.progress.step > 0)
    second = make_trainer(tmp_path / "stopped", model_seed=99, debug=limits)
    assert second.restore() is not None
    run(second)
    assert state(second) == state(uninterrupted)


def test_a_limit_that_is_not_reached_changes_no_bit(tmp_path: Path) -> None:
    normal = make_trainer(tmp_path / "normal")
    limited = make_trainer(tmp_path / "limited", debug=Debug(steps=100))
    run(normal)
    run(limited)
    assert state(limited) == state(normal)


def digits(count: int) -> DecodedSplit:
    """Returns the first handwritten digits, enlarged to 16 x 16 pixels."""
    from sklearn.datasets import load_digits

    found = load_digits()
    images = (found.images[:count] * (255 / 16)).round().astype(np.uint8).repeat(2, axis=1).repeat(2, axis=2)
    return DecodedSplit(np.repeat(images[..., np.newaxis], 3, axis=3), found.target[:count].astype(np.int32))


def test_the_cnn_overfits_two_batches_of_digits_to_almost_no_loss(tmp_path: Path) -> None:
    """By the recipe of the demo, whose augmentation, dropout and L2 term `overfit_batches` switches off."""
    params = yaml.safe_load((REPOSITORY / "demo" / "params.yaml").read_text(encoding="utf-8"))
    params |= {"epochs": 60, "debug": {"overfit_batches": 2}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    settings = load_params(tmp_path / "params.yaml").models["simple_cnn"].model_dump() | {"arguments": {"filters": 8}}
    split = digits(200)
    history = run(make_trainer(tmp_path, splits=(split, split), num_classes=10, image_size=16, **settings))
    assert history[-1]["loss"] < 0.02
    assert history[-1]["top_1_accuracy"] == 1.0
