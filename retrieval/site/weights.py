"""Store the weights of an ONNX graph in eight bits, beside the graph.

    text.onnx      the graph; its weights are "external data", in a file that nobody stores
    text.weights   int8 levels, and a float16 scale per 32: of these a browser makes that file

Only storage is quantised; ONNX Runtime computes in float32. To quantise activations as well
(DynamicQuantizeLinear) moves embeddings too far. Measured with mini on the first 200 test
messages, top-10 lists of the search the same as before: activations by tensor 85 %, with a scale
per column of the weights 93 %, by row 95 %; weights alone with a scale per column 98.0 %, per 64
weights 98.5 %, per 32 weights 98.7 %.

The weights become float32 before ONNX Runtime gets them. With `DequantizeLinear` nodes in the
graph, which it folds while it loads, a browser took 1.5 s instead of 0.9 to open mini's text tower.

A table of embeddings stays in the graph: its rows are taken first, and only they become float32.

The only importer of onnx.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

BLOCK = 32  # weights that share a scale; a float16 a block is 6 % more bytes
MIN_WEIGHTS = 4_096  # of a smaller tensor little is saved
MAX_WEIGHT = 10_000  # what is larger is a mask of attention, whose "never" is -inf or nearly
LEVELS = 127
FLOAT_BYTES = 4


@dataclass(frozen=True)
class Tensor:
    """A weight tensor, and the axis along which its blocks lie."""

    name: str  # of the graph's initializer
    shape: Sequence[int]
    axis: int
    at: int  # where its float32 values start in the file of external data, bytes


@dataclass(frozen=True)
class Weights:
    """Stored weights: `arrays` has "I.levels" and "I.scales" of the tensor with index I."""

    tensors: list[Tensor]
    arrays: dict[str, np.ndarray]

    @property
    def size_bytes(self) -> int:
        """Of the file of external data."""
        return sum(prod(tensor.shape) for tensor in self.tensors) * FLOAT_BYTES


def in_eight_bits(model: onnx.ModelProto, location: str) -> tuple[onnx.ModelProto, Weights]:
    """The graph without its weights, which it names as external data at `location`, and those.

    A row of an embedding table has one scale, and stays in the graph. Notes of torch are removed.
    """
    graph = model.graph
    constant = {
        tensor.name: numpy_helper.to_array(tensor)
        for tensor in graph.initializer
        if tensor.data_type == TensorProto.FLOAT and np.prod(tensor.dims) >= MIN_WEIGHTS
    }
    values = {name: v for name, v in constant.items() if np.abs(v).max() < MAX_WEIGHT}
    tables = _tables(graph) & {name for name, v in values.items() if v.ndim == 2}
    constants = [tensor for tensor in graph.initializer if tensor.name not in values]
    weights = Weights([], {})
    for name in sorted(values.keys() - tables):
        axis, shape = _longest_axis(values[name]), values[name].shape
        number, at = len(weights.tensors), weights.size_bytes
        weights.tensors.append(Tensor(name, shape, axis, at))
        levels, scales = quantised(values[name], axis)
        weights.arrays[f"{number}.levels"], weights.arrays[f"{number}.scales"] = levels, scales
        constants.append(_external(name, shape, location, at))
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        if node.op_type == "Gather" and node.input[0] in tables:
            table = values[node.input[0]]
            constants += _stored(node.input[0], *quantised(table, 1, block=table.shape[1]))
            nodes += _rows_taken(node)
        else:
            nodes.append(node)
    made = onnx.ModelProto()
    made.ir_version = model.ir_version
    made.opset_import.extend(model.opset_import)
    made.graph.CopyFrom(
        helper.make_graph(nodes, "tower", graph.input, graph.output, initializer=constants)
    )
    _forget_origins(made)
    return made, weights


def restored(tensors: list[Tensor], arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The float32 values of stored weights, by name."""
    values = {}
    for number, tensor in enumerate(tensors):
        levels, scales = arrays[f"{number}.levels"], arrays[f"{number}.scales"]
        each = np.repeat(scales.astype(np.float32), BLOCK, tensor.axis)
        kept = range(tensor.shape[tensor.axis])  # the last block may be shorter
        values[tensor.name] = levels * np.take(each, kept, tensor.axis)
    return values


def quantised(weights: np.ndarray, axis: int, block: int = BLOCK) -> tuple[np.ndarray, np.ndarray]:
    """Levels from -127 to 127, int8, of the weights' shape, and a float16 scale per block.

    Blocks lie along an axis; the last one may be shorter. No scale is zero.
    """
    last = np.moveaxis(weights, axis, -1)
    n_blocks = -(-last.shape[-1] // block)
    padding = [(0, 0)] * (last.ndim - 1) + [(0, n_blocks * block - last.shape[-1])]
    blocks = np.pad(last, padding).reshape(*last.shape[:-1], n_blocks, block)
    exact = np.abs(blocks).max(axis=-1, keepdims=True) / LEVELS
    scales = np.maximum(exact, np.finfo(np.float16).smallest_subnormal).astype(np.float16)
    levels = np.clip(np.rint(blocks / scales.astype(np.float32)), -LEVELS, LEVELS)
    levels = levels.reshape(*last.shape[:-1], -1)[..., : last.shape[-1]].astype(np.int8)
    return np.moveaxis(levels, -1, axis), np.moveaxis(scales[..., 0], -1, axis)


def _tables(graph: onnx.GraphProto) -> set[str]:
    """Constants of which a single `Gather` takes rows, and nothing else reads them."""
    uses = Counter(name for node in graph.node for name in node.input)
    gathers = [node for node in graph.node if node.op_type == "Gather"]
    return {node.input[0] for node in gathers if uses[node.input[0]] == 1 and _axis_of(node) == 0}


def _longest_axis(weights: np.ndarray) -> int:
    """The last of the longest axes: blocks along a short one would be few weights each."""
    lengths = weights.shape[::-1]
    return len(lengths) - 1 - lengths.index(max(lengths))


def _stored(name: str, levels: np.ndarray, scales: np.ndarray) -> Iterator[onnx.TensorProto]:
    yield numpy_helper.from_array(np.ascontiguousarray(levels), f"{name}.int8")
    yield numpy_helper.from_array(np.ascontiguousarray(scales), f"{name}.scales")


def _external(name: str, shape: tuple[int, ...], location: str, at: int) -> onnx.TensorProto:
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=shape)
    tensor.data_location = TensorProto.EXTERNAL
    facts = {"location": location, "offset": at, "length": prod(shape) * FLOAT_BYTES}
    for key, value in facts.items():
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def _rows_taken(node: onnx.NodeProto) -> list[onnx.NodeProto]:
    """Nodes that take rows of a stored table, and then turn them into float32."""
    table, indices = node.input
    (out,) = node.output
    parts = [f"{out}.int8", f"{out}.scales"]
    return [
        helper.make_node("Gather", [f"{table}.int8", indices], [parts[0]], axis=0),
        helper.make_node("Gather", [f"{table}.scales", indices], [parts[1]], axis=0),
        _cast(parts[0], f"{out}.levels"),
        _cast(parts[1], f"{out}.by"),
        helper.make_node("Mul", [f"{out}.levels", f"{out}.by"], [out]),
    ]


def _cast(given: str, out: str) -> onnx.NodeProto:
    return helper.make_node("Cast", [given], [out], to=TensorProto.FLOAT)


def _axis_of(node: onnx.NodeProto) -> int:
    return next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 0)


def _forget_origins(model: onnx.ModelProto) -> None:
    """Remove what torch notes of each node: lines of its source, with this machine's paths."""
    parts: list[Any] = [model, model.graph, *model.graph.node, *model.graph.initializer]
    for part in [*parts, *model.graph.input, *model.graph.output]:
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
