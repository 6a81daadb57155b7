"""The same networks in other training loops, on the same machine: Keras' `fit`, and PyTorch's compiled step.

Both get the images in memory and augment nothing, which favors them.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.gpu.timing import fastest
from benchmarks.gpu.trainers import IMAGE_SIZE, make_model, make_strategy, model_settings, random_split

NUM_CLASSES = 200


def keras_fit(model: str, device: str, *, tiny: bool) -> dict[str, Any]:
    """Measures `fit` on a tf.data pipeline, with a model's batch size and precision, SGD and two accuracies."""
    import keras
    import tensorflow as tf

    settings = model_settings(model, tiny=tiny)
    count = 2 if tiny else max(20, 20_000 // settings.batch_size)
    split = random_split(settings.batch_size * count)
    strategy = make_strategy(settings, device, deterministic=False)
    with strategy.scope():
        network = make_model(settings, NUM_CLASSES)
        network.compile(
            keras.optimizers.SGD(0.01, momentum=settings.momentum),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=[keras.metrics.SparseCategoricalAccuracy(), keras.metrics.SparseTopKCategoricalAccuracy(5)],
            steps_per_execution=count,
            jit_compile="auto",
        )
    data = tf.data.Dataset.from_tensor_slices((split.images, split.labels)).shuffle(len(split.labels))
    data = data.batch(settings.batch_size).map(lambda images, labels: (tf.cast(images, tf.float32), labels))
    data = data.prefetch(tf.data.AUTOTUNE)
    seconds = fastest(lambda: network.fit(data, verbose=0)) / count
    return {"images_per_second": settings.batch_size / seconds}


def pytorch_step(model: str, device: str, *, tiny: bool) -> dict[str, Any]:
    """Measures a compiled step of ResNet-18 in bfloat16 with channels last, on a batch that is on the device."""
    if not importlib.util.find_spec("torch"):
        return {"not measured": "PyTorch is not installed"}
    import torch

    settings = model_settings(model, tiny=tiny)
    count = 2 if tiny else max(20, 20_000 // settings.batch_size)
    where = "cuda" if device == "gpu" else "cpu"
    widths, depths = (settings.arguments.get(key, default) for key, default in RESNET_18.items())
    network = torch_resnet(widths, depths).to(where, memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), 0.01, momentum=settings.momentum, nesterov=True)
    split = random_split(settings.batch_size)
    images = torch.from_numpy(split.images.transpose(0, 3, 1, 2)).to(where, torch.float32) / 255
    images = images.to(memory_format=torch.channels_last)
    labels = torch.from_numpy(split.labels.astype(np.int64)).to(where)

    @torch.compile
    def loss_of(images: torch.Tensor) -> torch.Tensor:
        with torch.autocast(where, torch.bfloat16):
            return torch.nn.functional.cross_entropy(network(images), labels)

    def steps() -> None:
        for _ in range(count):
            optimizer.zero_grad(set_to_none=True)
            loss = loss_of(images)
            loss.backward()
            optimizer.step()
        loss.item()

    return {"images_per_second": settings.batch_size * count / fastest(steps), "pytorch": torch.__version__}


RESNET_18: dict[str, Sequence[int]] = {"widths": (64, 128, 256, 512), "depths": (2, 2, 2, 2)}


def torch_resnet(widths: Sequence[int], depths: Sequence[int]) -> Any:
    """Returns the network of models/resnet.py in PyTorch, for images of IMAGE_SIZE pixels."""
    from torch import nn

    def norm(inputs: int, width: int, size: int, strides: int = 1) -> Any:
        convolution = nn.Conv2d(inputs, width, size, strides, size // 2, bias=False)
        return nn.Sequential(convolution, nn.BatchNorm2d(width))

    class Block(nn.Module):  # type: ignore[misc]
        def __init__(self, inputs: int, width: int, strides: int) -> None:
            super().__init__()
            same = strides == 1 and inputs == width
            self.shortcut = nn.Identity() if same else norm(inputs, width, 1, strides)
            self.body = nn.Sequential(norm(inputs, width, 3, strides), nn.ReLU(), norm(width, width, 3))

        def forward(self, x: Any) -> Any:
            return nn.functional.relu(self.shortcut(x) + self.body(x))

    layers: list[Any] = [norm(3, widths[0], 3), nn.ReLU()]
    inputs = widths[0]
    for stage, (width, depth) in enumerate(zip(widths, depths, strict=True)):
        for block in range(depth):
            layers.append(Block(inputs, width, 2 if stage and not block else 1))
            inputs = width
    side = IMAGE_SIZE >> (len(widths) - 1)
    return nn.Sequential(*layers, nn.AvgPool2d(side), nn.Flatten(), nn.Linear(inputs, NUM_CLASSES))
