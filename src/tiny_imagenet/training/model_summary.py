"""The summary of a model: its layers, shapes, parameters and multiply-accumulates."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import layers

Call = tuple[keras.Layer, list[int], list[int]]  # layer, input shape, output shape


def summarize_model(model: keras.Model, image_size: int | None = None) -> dict[str, Any]:
    """Returns the layers, parameters and multiply-accumulates (MACs) per image of a model, as JSON values.

    A nested model is one layer. Parameters include the moving means and variances of batch normalization, which are
    not trained.

    Args:
        model: A functional model from images (batch, height, width, channels).
        image_size: Height and width in pixels; None: the size that the model was built for.
    """
    shape = _image_shape(model, image_size)
    described = [_describe(*call) for call in _calls(model, shape)]
    return {
        "name": model.name,
        "input_shape": shape,
        "num_parameters": model.count_params(),
        "macs_per_image": sum(layer["macs"] for layer in described),
        "layers": described,
    }


def _image_shape(model: keras.Model, image_size: int | None) -> list[int]:
    height, width, channels = model.input_shape[1:]
    return [image_size or height, image_size or width, channels]


def _calls(model: keras.Model, shape: list[int]) -> list[Call]:
    """Returns the calls of the layers of a model, shapes without the batch; computes nothing and builds no weights."""
    shapes: dict[str, tuple[list[int], list[int]]] = {}

    def call(layer: Any, *inputs: Any, **arguments: Any) -> Any:
        y = layer(*inputs, **arguments)
        first = keras.tree.flatten(inputs)[0]  # layers with several inputs, such as Add, have no weights
        shapes[layer.name] = (list(first.shape[1:]), list(y.shape[1:]))
        return y

    images = keras.Input(shape, dtype=model.inputs[0].dtype)
    functional = keras.Model(model.inputs[0], model.outputs[0])  # a Sequential model is not functional
    keras.models.clone_model(functional, images, clone_function=lambda layer: layer, call_function=call)
    return [(layer, *shapes.get(layer.name, (shape, shape))) for layer in model.layers]


def _describe(layer: keras.Layer, input_shape: list[int], output_shape: list[int]) -> dict[str, Any]:
    return {
        "name": layer.name,
        "type": type(layer).__name__,
        "output_shape": output_shape,
        "num_parameters": layer.count_params(),
        "macs": _macs(layer, input_shape, output_shape),
        "details": _details(layer),
    }


def _macs(layer: keras.Layer, input_shape: list[int], output_shape: list[int]) -> int:
    """Returns the multiply-accumulates of a layer for one image: each kernel weight once per output position."""
    if isinstance(layer, keras.Model):
        return sum(_macs(*call) for call in _calls(layer, input_shape))
    if isinstance(layer, layers.SeparableConv2D):
        kernels = math.prod(layer.depthwise_kernel.shape) + math.prod(layer.pointwise_kernel.shape)
        return int(kernels * math.prod(output_shape[:-1]))
    if isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D | layers.Dense):
        return math.prod((*layer.kernel.shape, *output_shape[:-1]))
    return 0


def _details(layer: keras.Layer) -> str:
    match layer:
        case keras.Model():
            return f"{len(layer.layers)} layers"
        case layers.Conv2D():
            window = f"{layer.filters} x {layer.kernel_size[0]}x{layer.kernel_size[1]}"
            stride = f", stride {layer.strides[0]}" if layer.strides[0] > 1 else ""
            linear = layer.activation is keras.activations.linear
            return window + stride + ("" if linear else f", {layer.activation.__name__}")
        case layers.Dense():
            return f"{layer.units}, {layer.activation.__name__}"
        case layers.Activation():
            return str(layer.activation.__name__)
        case layers.MaxPooling2D() | layers.AveragePooling2D():
            return f"{layer.pool_size[0]}x{layer.pool_size[1]}"
        case layers.Dropout():
            return f"{layer.rate:g}"
    return ""
