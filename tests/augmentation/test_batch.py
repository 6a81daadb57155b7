from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tests.support.tiny_records import AUGMENTATION, NOTHING

from tiny_imagenet.augmentation.augment import augment, random_numbers, sample
from tiny_imagenet.augmentation.batch import Batch, Images, Selection, StepKey, make_batch
from tiny_imagenet.core.schema import Augmentation

IMAGES = np.random.default_rng(0).integers(0, 256, (20, 16, 16, 3), dtype=np.uint8)
LABELS = np.arange(20, dtype=np.int32) % 3
INDICES = np.int32([7, 0, 19, 3, 4, 11, 12, 5])


def batch(
    augmentation: Augmentation = AUGMENTATION,
    image_size: int | None = None,
    *,
    step: int = 5,
    seed: int = 1,
    epoch: int = 0,
    replica: int = 0,
    num_replicas: int = 1,
    compiled: bool = False,
) -> Batch:
    """Returns a batch of INDICES, in numpy."""

    def make() -> Batch:
        source = Images(tf.constant(IMAGES), tf.constant(LABELS))
        selection = Selection(tf.constant(INDICES), tf.constant(INDICES))
        key = StepKey(seed, tf.constant(step), tf.constant(epoch), tf.constant(replica), num_replicas)
        return make_batch(source, selection, key, augmentation, image_size)

    made = tf.function(make, jit_compile=True, autograph=False)() if compiled else make()
    return Batch(*(value if value is None else np.asarray(value) for value in made))


KEYS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "paper": AUGMENTATION.model_dump(),
    "flip": {"flip": "alternating"},
    "pixels": {"flip": "random", "shift_pixels": 2},
    "crop": {"random_resized_crop": {"scale": (0.08, 1.0), "ratio": (0.75, 1.3333)}, "flip": "alternating"},
    "erasing": {"random_erasing": 0.5, "flip": "random"},
    "trivial": {"trivial_augment": True, "flip": "alternating", "shift_pixels": 2},
    "mixup": AUGMENTATION.model_dump() | {"mixup": 0.8},
    "cutmix": {"cutmix": 1.0, "flip": "random"},
}
each_key = pytest.mark.parametrize("augmentation", [Augmentation(**keys) for keys in KEYS.values()], ids=KEYS)


@each_key
@pytest.mark.parametrize("num_replicas", [2, 4])
def test_the_replicas_parts_together_are_the_batch(num_replicas: int, augmentation: Augmentation) -> None:
    parts = [batch(augmentation, 12, replica=replica, num_replicas=num_replicas) for replica in range(num_replicas)]
    assert {len(part.images) for part in parts} == {len(INDICES) // num_replicas}
    whole = batch(augmentation, 12)
    for value, of_parts in zip(whole, zip(*parts, strict=True), strict=True):
        assert value is None or np.array_equal(np.concatenate(of_parts), value)


@each_key
def test_xla_makes_the_same_batch_to_rounding(augmentation: Augmentation) -> None:
    for ours, theirs in zip(batch(augmentation, compiled=True), batch(augmentation), strict=True):
        assert theirs is None or np.abs(ours - theirs).max() < 0.01


def test_a_batch_is_its_images_and_labels_augmented() -> None:
    images, labels, *mixed = batch()
    assert images.dtype == np.float32
    assert np.array_equal(labels, LABELS[INDICES])
    assert mixed == [None, None]
    rng = random_numbers(1, tf.constant(5), len(INDICES))
    sampled = sample(rng, tf.zeros(len(INDICES), tf.bool), 16, 16, AUGMENTATION)
    assert np.array_equal(images, augment(tf.constant(IMAGES), tf.constant(INDICES), sampled, 16, AUGMENTATION))


def test_without_augmentation_a_batch_is_its_images() -> None:
    assert np.array_equal(batch(NOTHING).images, IMAGES[INDICES])


@pytest.mark.parametrize("augmentation", [NOTHING, AUGMENTATION], ids=["nothing", "paper"])
def test_images_are_resized_at_the_end(augmentation: Augmentation) -> None:
    images = batch(augmentation).images
    for size in (12, 16, 20):
        expected = tf.image.resize(images, (size, size), antialias=True)
        assert np.abs(batch(augmentation, size).images - expected).max() < 1e-3
    assert np.array_equal(batch(augmentation, 16).images, images)


def test_alternating_flips_start_at_random_and_change_each_epoch() -> None:
    """The batch is one asymmetric image many times, so each result shows whether it was flipped."""

    def flipped(epoch: int, step: int, seed: int = 1) -> np.ndarray:
        many = np.random.default_rng(step).permutation(2000).astype(np.int32)
        made = make_batch(
            Images(tf.repeat(tf.constant(IMAGES[:1]), 2000, axis=0), tf.zeros(2000, tf.int32)),
            Selection(tf.constant(many), tf.constant(many)),
            StepKey(seed, tf.constant(step), tf.constant(epoch), tf.constant(0), 1),
            Augmentation(flip="alternating"),
        ).images
        flags = np.array([np.array_equal(image, IMAGES[0][:, ::-1]) for image in np.asarray(made)])
        assert np.array_equal(np.asarray(made)[~flags], np.repeat(IMAGES[:1], (~flags).sum(), axis=0))
        return flags[np.argsort(many)]

    first = flipped(0, step=3)
    assert abs(first.mean() - 0.5) < 5 * 0.5 / np.sqrt(2000)
    assert abs(np.corrcoef(first[1:], first[:-1])[0, 1]) < 0.12
    for epoch in (1, 2, 3):
        assert np.array_equal(flipped(epoch, step=10 + epoch), first ^ (epoch % 2 == 1))
    assert abs(np.corrcoef(first, flipped(0, step=3, seed=2))[0, 1]) < 0.12


def partner_of(mixed: Batch) -> np.ndarray:
    """Returns the position of each image's partner, by the labels, which are all different."""
    assert mixed.mixed_labels is not None
    return np.argsort(mixed.labels)[np.searchsorted(np.sort(mixed.labels), mixed.mixed_labels)]


@pytest.fixture
def distinct_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "LABELS", np.arange(20, dtype=np.int32))


@pytest.mark.usefixtures("distinct_labels")
@pytest.mark.parametrize("base", [NOTHING, AUGMENTATION], ids=["nothing", "paper"])
def test_mixup_is_the_weighted_mean_of_two_images_of_the_batch(base: Augmentation) -> None:
    for step in (5, 6):
        mixed, plain = batch(base.model_copy(update={"mixup": 1.0}), step=step), batch(base, step=step).images
        assert mixed.lam is not None
        partner = partner_of(mixed)
        assert np.array_equal(partner, (np.arange(8) + partner[0]) % 8)
        assert partner[0]
        assert len(set(mixed.lam.tolist())) == 1
        assert 0 < mixed.lam[0] < 1
        lam = mixed.lam[:, None, None, None]
        assert np.abs(mixed.images - (lam * plain + (1 - lam) * plain[partner])).max() < 1e-3


@pytest.mark.usefixtures("distinct_labels")
def test_cutmix_pastes_a_box_of_one_image_into_another() -> None:
    lams = []
    for step in range(20):
        mixed, plain = batch(Augmentation(cutmix=1.0), step=step), batch(NOTHING, step=step).images
        assert mixed.lam is not None
        pasted = (mixed.images != plain).any(axis=(0, 3))
        rows, columns = pasted.any(axis=1), pasted.any(axis=0)
        assert np.array_equal(pasted, np.outer(rows, columns))
        assert np.array_equal(mixed.images[:, pasted], plain[partner_of(mixed)][:, pasted])
        assert mixed.lam == pytest.approx(1 - pasted.mean(), abs=1e-6)
        lams.append(mixed.lam[0])
    assert len(set(lams)) > 10


def test_with_mixup_and_cutmix_a_batch_has_one_of_them() -> None:
    kinds = []
    for step in range(60):
        one = [batch(Augmentation(**keys), step=step).images for keys in ({"mixup": 0.7}, {"cutmix": 0.3})]
        both = batch(Augmentation(mixup=0.7, cutmix=0.3), step=step).images
        (kind,) = (i for i in (0, 1) if np.array_equal(both, one[i]))
        kinds.append(kind)
    assert 15 < sum(kinds) < 45


def test_flips_of_images_read_from_disk_alternate_by_their_id_in_the_split() -> None:
    alternating = Augmentation(flip="alternating")
    source = Images(tf.constant(IMAGES[INDICES]), tf.constant(LABELS[INDICES]))
    selection = Selection(tf.range(len(INDICES)), tf.constant(INDICES))
    for epoch in (0, 1):
        key = StepKey(1, tf.constant(5), tf.constant(epoch), tf.constant(0), 1)
        made = make_batch(source, selection, key, alternating)
        assert np.array_equal(made.images, batch(alternating, epoch=epoch).images)


def test_a_batch_is_a_function_of_seed_and_step() -> None:
    assert np.array_equal(batch().images, batch().images)
    assert not np.array_equal(batch().images, batch(step=6).images)
    assert not np.array_equal(batch().images, batch(seed=2).images)


@pytest.mark.parametrize(
    "change", [{"interpolation": "nearest"}, {"rescale_max": True}, {"brightness": (0.1, 0.2)}, {"shift_fraction": 0.3}]
)
def test_every_setting_has_an_effect(change: dict[str, Any]) -> None:
    assert not np.array_equal(batch().images, batch(AUGMENTATION.model_copy(update=change)).images)
