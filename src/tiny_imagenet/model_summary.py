"""What a built model consists of and costs: layers, shapes, parameters, multiply-accumulates."""

from __future__ import annotations

import math
from typing import Any

import keras

TRAIN_FLOPS_PER_MAC = 6  # a multiply and an add, in the forward pass and for the gradients of inputs and of weights


def summarize_model(model: keras.Model) -> dict[str, Any]:
    """Returns a model's layers, parameters and multiply-accumulates (MACs) an image, ready for JSON."""
    layers = [_describe(layer) for layer in model.layers]
    return {
        "name": model.name,
        "input_shape": list(model.input_shape[1:]),
        "num_parameters": model.count_params(),
        "macs_per_image": sum(layer["macs"] for layer in layers),
        "layers": layers,
    }


def _describe(layer: keras.Layer) -> dict[str, Any]:
    output_shape = list(layer.output.shape[1:])
    return {
        "name": layer.name,
        "type": type(layer).__name__,
        "output_shape": output_shape,
        "num_parameters": layer.count_params(),
        "macs": _macs(layer, output_shape),
        "details": _details(layer),
    }


def _macs(layer: keras.Layer, output_shape: list[int]) -> int:
    """Counts a layer's multiply-accumulates for one image: each kernel weight once for each place it is applied at."""
    if isinstance(layer, keras.layers.Conv2D):
        return math.prod((*layer.kernel.shape, *output_shape[:2]))
    if isinstance(layer, keras.layers.Dense):
        return math.prod(layer.kernel.shape)
    return 0


def _details(layer: keras.Layer) -> str:
    if isinstance(layer, keras.layers.Conv2D):
        return f"{layer.filters} x {layer.kernel_size[0]}x{layer.kernel_size[1]}, {layer.activation.__name__}"
    if isinstance(layer, keras.layers.Dense):
        return f"{layer.units}, {layer.activation.__name__}"
    if isinstance(layer, keras.layers.MaxPooling2D):
        return f"{layer.pool_size[0]}x{layer.pool_size[1]}"
    if isinstance(layer, keras.layers.Dropout):
        return f"{layer.rate:g}"
    return ""
