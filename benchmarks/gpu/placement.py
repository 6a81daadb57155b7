"""Placement of a function's operations on a GPU, by TensorFlow's kernel registry: needs no GPU.

An operation without a GPU kernel runs on the CPU. A GPU kernel may keep some of its inputs and outputs in host memory,
as most kernels of int32 do. Both copy data between the memories, in each step if the operation is part of the loop.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import tensorflow as tf
from tensorflow.python.framework import kernels, op_def_registry

GPU_KERNELS = ("GPU", "DEFAULT")
CALLS = ("PartitionedCall", "StatefulPartitionedCall")
LOOPS = ("While", "StatelessWhile")
# Types without data of their own, and those that TensorFlow never copies to a GPU.
HANDLES = (tf.resource, tf.variant, tf.string)
XLA = "_XlaMustCompile"
FEW = 16  # elements that are copied to a GPU with a kernel's arguments


@dataclass(frozen=True)
class Value:
    """A tensor of a graph.

    Attributes:
        on_host: Whether it is in host memory.
        dtype: Its type.
        size: Its number of elements; None: not known before the step runs.
        constant: Whether it is computed from constants only: TensorFlow does so once, before the first step.
    """

    on_host: bool
    dtype: tf.DType
    size: int | None
    constant: bool = False

    def __str__(self) -> str:
        return f"{self.dtype.name} ({'?' if self.size is None else f'{self.size:,}'})"


@dataclass(frozen=True)
class Finding:
    """An operation in the loop that has no GPU kernel, or a tensor that crosses between the memories.

    Attributes:
        kind: "no GPU kernel", "to host" or "to device".
        op: The operation's type.
        name: Its name in the graph.
        value: The tensor that crosses; None without a kernel.
    """

    kind: str
    op: str
    name: str
    value: Value | None = None

    @property
    def matters(self) -> bool:
        """Whether a step waits for it, or copies more than a few numbers such as seeds, counters and sizes."""
        return self.kind != "to device" or self.value is None or self.value.size is None or self.value.size > FEW

    def __str__(self) -> str:
        return f"{self.kind}: {self.op} {self.name}" + (f", {self.value}" if self.value else "")


@dataclass(frozen=True)
class Placement:
    """The operations inside the loops of a function.

    Attributes:
        operations: Those that run one by one, outside the functions that XLA compiles.
        compiled: Calls of functions that XLA compiles.
        findings: In the order of the graph.
    """

    operations: int
    compiled: int
    findings: tuple[Finding, ...]


def place(function: Any) -> Placement:
    """Returns the placement of a concrete function's loops on a GPU."""
    graph = function.graph.as_graph_def(add_shapes=True)
    walk = _Walk({each.signature.name: each for each in graph.library.function})
    arguments = [Value(dtype == tf.int32, dtype, None) for dtype in (tensor.dtype for tensor in function.inputs)]
    walk.call(function.function_def, arguments, in_loop=False)
    return Placement(walk.operations, walk.compiled, tuple(walk.findings))


class _Walk:
    """Follows the tensors of a graph through its functions."""

    def __init__(self, library: dict[str, Any]) -> None:
        self.library = library
        self.operations, self.compiled = 0, 0
        self.findings: list[Finding] = []

    def call(self, function: Any, arguments: Sequence[Value], *, in_loop: bool) -> list[Value]:
        """Places the body of a function with these arguments, and returns its results."""
        values = {
            argument.name: [value] for argument, value in zip(function.signature.input_arg, arguments, strict=True)
        }
        nodes = {node.name: node for node in function.node_def}
        waiting = list(nodes)  # in the graph's order, in which a node may precede its inputs
        while waiting:
            later = []
            for name in waiting:
                if all(each.split(":")[0] in values for each in nodes[name].input if each[0] != "^"):
                    tensors = [self._tensor(each, values, nodes) for each in nodes[name].input if each[0] != "^"]
                    values[name] = self._node(nodes[name], tensors, in_loop=in_loop)
                else:
                    later.append(name)
            assert len(later) < len(waiting), f"a cycle in {function.signature.name}"
            waiting = later
        return [self._tensor(function.ret[result.name], values, nodes) for result in function.signature.output_arg]

    def _tensor(self, reference: str, values: dict[str, list[Value]], nodes: dict[str, Any]) -> Value:
        """Returns the tensor of a reference: "argument", or "node:output:index"."""
        name, *rest = reference.split(":")
        if name not in nodes:
            return values[name][0]
        output, index = rest
        start = next(start for arg, start in _starts(nodes[name], "output_arg") if arg == output)
        return values[name][start + int(index)]

    def _node(self, node: Any, inputs: list[Value], *, in_loop: bool) -> list[Value]:
        if node.op in LOOPS:
            return self._loop(node, inputs)
        if node.op in CALLS:
            called = self.library[node.attr["f"].func.name]
            if not (node.attr[XLA].b or called.attr[XLA].b):
                return self.call(called, inputs, in_loop=in_loop)
            self.compiled += in_loop
            return self._use(node, inputs, [False] * len(inputs), _outputs(node, set()), in_loop=in_loop)
        if not op_def_registry.get(node.op).is_stateful and all(value.constant for value in inputs):
            kept = set(kernel.host_memory_arg) if (kernel := _gpu_kernel(node)) else set()
            return [replace(value, constant=True) for value in _outputs(node, kept)]
        self.operations += in_loop
        kernel = _gpu_kernel(node)
        if kernel is None:
            self._report(in_loop, Finding("no GPU kernel", node.op, node.name))
            everything = {argument for argument, _ in _starts(node, "output_arg")}
            return self._use(node, inputs, [True] * len(inputs), _outputs(node, everything), in_loop=in_loop)
        kept = set(kernel.host_memory_arg)
        on_host = [name in kept for name in _argument_names(node, "input_arg")]
        return self._use(node, inputs, on_host, _outputs(node, kept), in_loop=in_loop)

    def _use(
        self, node: Any, inputs: list[Value], on_host: list[bool], outputs: list[Value], *, in_loop: bool
    ) -> list[Value]:
        for value, wanted in zip(inputs, on_host, strict=True):
            if value.dtype not in HANDLES and value.on_host != wanted:
                self._report(in_loop, Finding("to host" if wanted else "to device", node.op, node.name, value))
        return outputs

    def _loop(self, node: Any, inputs: list[Value]) -> list[Value]:
        """Places a loop's condition and body; between its iterations int32 is in host memory."""
        variables = [Value(value.dtype == tf.int32, value.dtype, value.size) for value in inputs]
        self.call(self.library[node.attr["cond"].func.name], variables, in_loop=True)
        body = self.library[node.attr["body"].func.name]
        for before, after in zip(variables, self.call(body, variables, in_loop=True), strict=True):
            if after.dtype not in HANDLES and before.on_host != after.on_host:
                self._report(True, Finding("to host" if before.on_host else "to device", node.op, node.name, after))
        return variables

    def _report(self, in_loop: bool, finding: Finding) -> None:
        if in_loop:
            self.findings.append(finding)


def _starts(node: Any, kind: str) -> Iterator[tuple[str, int]]:
    """Yields the name of each argument of an operation and the index of its first tensor."""
    at = 0
    for argument in getattr(op_def_registry.get(node.op), kind):
        yield argument.name, at
        at += _count(node, argument)


def _argument_names(node: Any, kind: str) -> list[str]:
    """Returns the name of the argument that each tensor of an operation belongs to."""
    arguments = getattr(op_def_registry.get(node.op), kind)
    return [argument.name for argument in arguments for _ in range(_count(node, argument))]


def _count(node: Any, argument: Any) -> int:
    if argument.number_attr:
        return int(node.attr[argument.number_attr].i)
    return len(node.attr[argument.type_list_attr].list.type) if argument.type_list_attr else 1


def _outputs(node: Any, on_host: set[str]) -> list[Value]:
    """Returns the results of an operation, of which the arguments `on_host` are in host memory."""
    shapes = [_size(shape) for shape in node.attr["_output_shapes"].list.shape]
    found = []
    for argument in op_def_registry.get(node.op).output_arg:
        types = (
            list(node.attr[argument.type_list_attr].list.type)
            if argument.type_list_attr
            else [node.attr[argument.type_attr].type if argument.type_attr else argument.type] * _count(node, argument)
        )
        found += [(argument.name in on_host, tf.as_dtype(each)) for each in types]
    sizes = shapes if len(shapes) == len(found) else [None] * len(found)
    return [Value(host, dtype, size) for (host, dtype), size in zip(found, sizes, strict=True)]


def _size(shape: Any) -> int | None:
    if shape.unknown_rank or any(dimension.size < 0 for dimension in shape.dim):
        return None
    return math.prod(dimension.size for dimension in shape.dim)


@functools.cache
def _kernels(op: str) -> list[Any]:
    registered = kernels.get_registered_kernels_for_op(op).kernel
    # A GPU's own kernel comes before the one of all devices.
    return sorted(
        (each for each in registered if each.device_type in GPU_KERNELS), key=lambda k: k.device_type != "GPU"
    )


def _gpu_kernel(node: Any) -> Any:
    return next((kernel for kernel in _kernels(node.op) if all(_fits(node, each) for each in kernel.constraint)), None)


def _fits(node: Any, constraint: Any) -> bool:
    value, allowed = node.attr[constraint.name], constraint.allowed_values.list.type
    return all(each in allowed for each in (value.list.type if value.HasField("list") else [value.type]))
