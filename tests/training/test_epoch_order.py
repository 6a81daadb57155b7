import numpy as np

from tiny_imagenet.training.batch_source import epoch_order


def test_an_epoch_visits_every_image_once() -> None:
    order = epoch_order(1, 2, 1000)
    assert order.dtype == np.int32
    assert np.array_equal(np.sort(order), np.arange(1000))
    assert not np.array_equal(order, np.arange(1000))


def test_the_order_is_a_function_of_seed_and_epoch() -> None:
    assert np.array_equal(epoch_order(1, 2, 1000), epoch_order(1, 2, 1000))
    orders = {epoch_order(seed, epoch, 1000).tobytes() for seed in range(4) for epoch in range(4)}
    assert len(orders) == 16
