"""An architecture's layers in fewer boxes: norms and activations with their convolution, residual blocks whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Layer = Mapping[str, Any]  # as in architecture.json: `name`, `type`, `details`, `output_shape`, `num_parameters`

SHORTCUT, ADD = "shortcut", "_add"  # in the names that models/ gives: a block's layers begin like its sum
FOLDED = {"BatchNormalization": "norm"}
UNSEEN = ("InputLayer", "ZeroPadding2D")


def fold_layers(layers: Sequence[Layer]) -> list[dict[str, Any]]:
    """Returns the boxes of a diagram, from top to bottom, each with the keys of a layer; no parameter is lost.

    A residual block is one box where its sum is called `NAME_add` and its layers `NAME_...`; equal blocks that follow
    one another are one box too.
    """
    blocks = [layer["name"].removesuffix(ADD) + "_" for layer in layers if layer["type"] == "Add"]
    boxes: list[dict[str, Any]] = []
    waiting = [layer for layer in layers if layer["type"] not in UNSEEN]
    while waiting:
        prefix = next((block for block in blocks if waiting[0]["name"].startswith(block)), None)
        if prefix:
            members = [layer for layer in waiting if layer["name"].startswith(prefix)]
            waiting = [layer for layer in waiting if not layer["name"].startswith(prefix)]
            _append_block(boxes, _block(members))
        else:
            _append_layer(boxes, waiting.pop(0))
    return boxes


def _append_layer(boxes: list[dict[str, Any]], layer: Layer) -> None:
    """Adds a layer, to the box before it if it is a norm or an activation."""
    what = layer["details"] if layer["type"] == "Activation" else FOLDED.get(layer["type"])
    if not boxes or not what:
        boxes.append({**layer, "repeats": 1})
        return
    boxes[-1]["details"] = ", ".join(filter(None, (boxes[-1]["details"], what)))
    boxes[-1]["num_parameters"] += layer["num_parameters"]


def _block(members: Sequence[Layer]) -> dict[str, Any]:
    path = [each for each in members if "Conv" in each["type"] and SHORTCUT not in each["name"]]
    windows = [each["details"].split(",")[0] for each in path]
    same = len(set(windows)) == 1
    strides = [part.strip() for each in path for part in each["details"].split(",") if "stride" in part]
    details = f"{len(windows)} of {windows[0]}" if same else " + ".join(windows)
    return {
        "name": members[-1]["name"],
        "type": "Residual",
        "details": ", ".join([details, *dict.fromkeys(strides)]),
        "output_shape": members[-1]["output_shape"],
        "num_parameters": sum(each["num_parameters"] for each in members),
        "repeats": 1,
    }


def _append_block(boxes: list[dict[str, Any]], block: dict[str, Any]) -> None:
    last = boxes[-1] if boxes else {}
    if all(last.get(key) == block[key] for key in ("type", "details", "output_shape")):
        last["num_parameters"] += block["num_parameters"]
        last["repeats"] += 1
    else:
        boxes.append(block)
