from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tests.support.tiny_records import AUGMENTATION, NOTHING

from tiny_imagenet.augmentation.augment import augment, chances, draw
from tiny_imagenet.augmentation.batch import Batch, make_batch
from tiny_imagenet.training.batch_source import epoch_order

IMAGES = np.random.default_rng(0).integers(0, 256, (20, 16, 16, 3), dtype=np.uint8)
LABELS = np.arange(20, dtype=np.int32) % 3
INDICES = np.int32([7, 0, 19, 3, 4, 11, 12, 5])


def batch(
    *,
    step: int = 5,
    seed: int = 1,
    epoch: int = 0,
    part: int = 0,
    num_parts: int = 1,
    settings: Mapping[str, Any] = AUGMENTATION,
    compiled: bool = False,
    indices: np.ndarray = INDICES,
    **more: Any,
) -> Batch:
    def make() -> Batch:
        return make_batch(
            tf.constant(IMAGES),
            tf.constant(LABELS),
            tf.constant(indices),
            seed=seed,
            step=tf.constant(step),
            epoch=tf.constant(epoch),
            part=tf.constant(part),
            num_parts=num_parts,
            settings=settings,
            **more,
        )

    made = tf.function(make, jit_compile=True)() if compiled else make()
    return Batch(*(value if value is None else np.asarray(value) for value in made))


def test_an_epoch_visits_every_image_once() -> None:
    order = epoch_order(1, 2, 1000)
    assert order.dtype == np.int32
    assert np.array_equal(np.sort(order), np.arange(1000))
    assert not np.array_equal(order, np.arange(1000))


def test_the_order_is_a_function_of_seed_and_epoch() -> None:
    assert np.array_equal(epoch_order(1, 2, 1000), epoch_order(1, 2, 1000))
    orders = {epoch_order(seed, epoch, 1000).tobytes() for seed in range(4) for epoch in range(4)}
    assert len(orders) == 16


KEYS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "paper": AUGMENTATION,
    "flip": {"flip": "alternating"},
    "pixels": {"flip": "random", "shift_pixels": 2},
    "crop": {"random_resized_crop": {"scale": (0.08, 1.0), "ratio": (0.75, 1.3333)}, "flip": "alternating"},
    "erasing": {"random_erasing": 0.5, "flip": "random"},
    "trivial": {"trivial_augment": True, "flip": "alternating", "shift_pixels": 2},
    "mixup": AUGMENTATION | {"mixup": 0.8},
    "cutmix": {"cutmix": 1.0, "flip": "random"},
}
each_key = pytest.mark.parametrize("settings", [NOTHING | keys for keys in KEYS.values()], ids=KEYS)


@each_key
@pytest.mark.parametrize("num_parts", [2, 4])
def test_the_parts_of_a_batch_are_the_batch(num_parts: int, settings: Mapping[str, Any]) -> None:
    parts = [batch(part=part, num_parts=num_parts, settings=settings, image_size=12) for part in range(num_parts)]
    assert {len(part.images) for part in parts} == {len(INDICES) // num_parts}
    whole = batch(settings=settings, image_size=12)
    for value, of_parts in zip(whole, zip(*parts, strict=True), strict=True):
        assert value is None or np.array_equal(np.concatenate(of_parts), value)


@each_key
def test_compiled_it_is_the_same_to_rounding(settings: Mapping[str, Any]) -> None:
    for ours, theirs in zip(batch(settings=settings, compiled=True), batch(settings=settings), strict=True):
        assert theirs is None or np.abs(ours - theirs).max() < 0.01


def test_a_batch_is_its_images_and_labels_augmented() -> None:
    images, labels, *mixed = batch()
    assert images.dtype == np.float32
    assert np.array_equal(labels, LABELS[INDICES])
    assert mixed == [None, None]
    how: dict[str, Any] = {"final_size": 16, "settings": AUGMENTATION}
    drawn = draw(chances(1, tf.constant(5), len(INDICES)), tf.zeros(len(INDICES), tf.bool), image_size=16, **how)
    assert np.array_equal(images, augment(tf.constant(IMAGES), tf.constant(INDICES), drawn, **how))


def test_without_augmentation_a_batch_is_its_images() -> None:
    assert np.array_equal(batch(settings=NOTHING).images, IMAGES[INDICES])


@pytest.mark.parametrize("settings", [NOTHING, AUGMENTATION])
def test_images_are_brought_to_a_size_at_the_end(settings: Mapping[str, Any]) -> None:
    images = batch(settings=settings).images
    for size in (12, 16, 20):
        expected = tf.image.resize(images, (size, size), antialias=True)
        assert np.abs(batch(settings=settings, image_size=size).images - expected).max() < 1e-3
    assert np.array_equal(batch(settings=settings, image_size=16).images, images)


def test_a_flip_alternates_from_a_first_that_is_random() -> None:
    """An image that is no mirror of itself, many times: what is seen of it tells which way it was shown."""

    def mirrored(epoch: int, step: int, seed: int = 1) -> np.ndarray:
        many = np.random.default_rng(step).permutation(2000).astype(np.int32)
        made = make_batch(
            tf.repeat(tf.constant(IMAGES[:1]), 2000, axis=0),
            tf.zeros(2000, tf.int32),
            tf.constant(many),
            seed=seed,
            step=tf.constant(step),
            epoch=tf.constant(epoch),
            part=tf.constant(0),
            num_parts=1,
            settings=NOTHING | {"flip": "alternating"},
        ).images
        flags = np.array([np.array_equal(image, IMAGES[0][:, ::-1]) for image in np.asarray(made)])
        assert np.array_equal(np.asarray(made)[~flags], np.repeat(IMAGES[:1], (~flags).sum(), axis=0))
        return flags[np.argsort(many)]

    first = mirrored(0, step=3)
    assert abs(first.mean() - 0.5) < 5 * 0.5 / np.sqrt(2000)
    assert abs(np.corrcoef(first[1:], first[:-1])[0, 1]) < 0.12
    for epoch in (1, 2, 3):
        assert np.array_equal(mirrored(epoch, step=10 + epoch), first ^ (epoch % 2 == 1))
    assert abs(np.corrcoef(first, mirrored(0, step=3, seed=2))[0, 1]) < 0.12


def partner_of(mixed: Batch) -> np.ndarray:
    """Returns each image's partner's place, by the labels, which are all different."""
    assert mixed.partners is not None
    return np.argsort(mixed.labels)[np.searchsorted(np.sort(mixed.labels), mixed.partners)]


@pytest.fixture
def own_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "LABELS", np.arange(20, dtype=np.int32))


@pytest.mark.usefixtures("own_labels")
@pytest.mark.parametrize("base", [NOTHING, AUGMENTATION])
def test_mixup_is_the_weighted_mean_of_two_images_of_the_batch(base: Mapping[str, Any]) -> None:
    for step in (5, 6):
        mixed, plain = batch(settings=base | {"mixup": 1.0}, step=step), batch(settings=base, step=step).images
        assert mixed.share is not None
        partner = partner_of(mixed)
        assert np.array_equal(partner, (np.arange(8) + partner[0]) % 8)
        assert partner[0]
        assert len(set(mixed.share.tolist())) == 1
        assert 0 < mixed.share[0] < 1
        share = mixed.share[:, None, None, None]
        assert np.abs(mixed.images - (share * plain + (1 - share) * plain[partner])).max() < 1e-3


@pytest.mark.usefixtures("own_labels")
def test_cutmix_puts_a_box_of_one_image_into_another() -> None:
    shares = []
    for step in range(20):
        mixed, plain = batch(settings=NOTHING | {"cutmix": 1.0}, step=step), batch(settings=NOTHING, step=step).images
        assert mixed.share is not None
        pasted = (mixed.images != plain).any(axis=(0, 3))
        rows, columns = pasted.any(axis=1), pasted.any(axis=0)
        assert np.array_equal(pasted, np.outer(rows, columns))
        assert np.array_equal(mixed.images[:, pasted], plain[partner_of(mixed)][:, pasted])
        assert mixed.share == pytest.approx(1 - pasted.mean(), abs=1e-6)
        shares.append(mixed.share[0])
    assert len(set(shares)) > 10


def test_with_both_a_batch_has_the_one_or_the_other() -> None:
    kinds = []
    for step in range(60):
        one = [batch(settings=NOTHING | keys, step=step).images for keys in ({"mixup": 0.7}, {"cutmix": 0.3})]
        both = batch(settings=NOTHING | {"mixup": 0.7, "cutmix": 0.3}, step=step).images
        (kind,) = (i for i in (0, 1) if np.array_equal(both, one[i]))
        kinds.append(kind)
    assert 15 < sum(kinds) < 45


def test_images_read_from_disk_alternate_by_their_own_numbers() -> None:
    settings = NOTHING | {"flip": "alternating"}
    for epoch in (0, 1):
        by_index = batch(settings=settings, epoch=epoch).images
        shuffled = IMAGES[INDICES]
        made = make_batch(
            tf.constant(shuffled),
            tf.constant(LABELS[INDICES]),
            tf.range(len(INDICES)),
            seed=1,
            step=tf.constant(5),
            epoch=tf.constant(epoch),
            part=tf.constant(0),
            num_parts=1,
            settings=settings,
            numbers=tf.constant(INDICES),
        )
        assert np.array_equal(made.images, by_index)


def test_a_batch_is_a_function_of_seed_and_step() -> None:
    assert np.array_equal(batch().images, batch().images)
    assert not np.array_equal(batch().images, batch(step=6).images)
    assert not np.array_equal(batch().images, batch(seed=2).images)


@pytest.mark.parametrize(
    "change", [{"interpolation": "nearest"}, {"stretch": True}, {"brightness": (0.1, 0.2)}, {"shift_fraction": 0.3}]
)
def test_every_setting_is_used(change: dict[str, Any]) -> None:
    assert not np.array_equal(batch().images, batch(settings=AUGMENTATION | change).images)
