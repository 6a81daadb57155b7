"""The layers of an architecture as fewer boxes: a box per layer with its norm and activation, or per residual block."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from tiny_imagenet.report.results import Layer

SHORTCUT, ADD = "shortcut", "_add"  # parts of layer names in models/: the layers of a block share the prefix of its sum
FOLDED = {"BatchNormalization": "norm"}
HIDDEN = ("InputLayer", "ZeroPadding2D")


@dataclass(frozen=True)
class Box:
    """A box of the diagram.

    Attributes:
        name: Of the layer, or of the last layer of a block.
        type: The layer's class, or "Residual".
        details: Sizes and activations.
        output_shape: Of one image.
        num_parameters: Of all layers and repeats.
        repeats: Number of equal blocks in a row.
    """

    name: str
    type: str
    details: str
    output_shape: tuple[int | None, ...]
    num_parameters: int
    repeats: int = 1


def fold_layers(layers: Sequence[Layer]) -> list[Box]:
    """Returns the boxes from top to bottom; their parameters are those of all layers.

    A block is one box if its sum is named `NAME_add` and its layers `NAME_...`; equal blocks in a row are one box too.
    """
    prefixes = [layer.name.removesuffix(ADD) + "_" for layer in layers if layer.type == "Add"]
    boxes: list[Box] = []
    rest = [layer for layer in layers if layer.type not in HIDDEN]
    while rest:
        prefix = next((prefix for prefix in prefixes if rest[0].name.startswith(prefix)), None)
        if prefix:
            _append_block(boxes, _block([layer for layer in rest if layer.name.startswith(prefix)]))
            rest = [layer for layer in rest if not layer.name.startswith(prefix)]
        else:
            _append_layer(boxes, rest.pop(0))
    return boxes


def _append_layer(boxes: list[Box], layer: Layer) -> None:
    """Appends a layer; a norm or an activation joins the box before it."""
    folded = layer.details if layer.type == "Activation" else FOLDED.get(layer.type)
    if not boxes or not folded:
        boxes.append(Box(layer.name, layer.type, layer.details, layer.output_shape, layer.num_parameters))
        return
    last = boxes[-1]
    details = ", ".join(filter(None, (last.details, folded)))
    boxes[-1] = dataclasses.replace(last, details=details, num_parameters=last.num_parameters + layer.num_parameters)


def _block(members: Sequence[Layer]) -> Box:
    path = [each for each in members if "Conv" in each.type and SHORTCUT not in each.name]
    windows = [each.details.split(",")[0] for each in path]
    same = len(set(windows)) == 1
    strides = [part.strip() for each in path for part in each.details.split(",") if "stride" in part]
    details = f"{len(windows)} of {windows[0]}" if same else " + ".join(windows)
    return Box(
        name=members[-1].name,
        type="Residual",
        details=", ".join([details, *dict.fromkeys(strides)]),
        output_shape=members[-1].output_shape,
        num_parameters=sum(each.num_parameters for each in members),
    )


def _append_block(boxes: list[Box], block: Box) -> None:
    """Appends a block; one that equals the block before it is counted there."""
    last = boxes[-1] if boxes else None
    if last and (last.type, last.details, last.output_shape) == (block.type, block.details, block.output_shape):
        num_parameters = last.num_parameters + block.num_parameters
        boxes[-1] = dataclasses.replace(last, num_parameters=num_parameters, repeats=last.repeats + 1)
    else:
        boxes.append(block)
