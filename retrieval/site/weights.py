"""Store the weights of an ONNX graph in eight bits, to be turned into float32 when it is loaded.

Only storage is quantised: ONNX Runtime folds the constants of `Cast`, `Mul` and `Reshape` into
float32 weights once, while it loads the graph, and then computes in float32. Quantising
activations as well (DynamicQuantizeLinear, MatMulInteger) is faster, and moves embeddings too far.
Measured with mini on the first 200 test messages, top-10 lists of the search the same as before:
activations by tensor 85 %, by tensor with a scale per column of the weights 93 %, by row 95 %;
weights alone with a scale per column 98.0 %, per 64 weights 98.5 %, per 32 weights 98.7 %.

A table of embeddings is an exception: its rows are taken first, and only they become float32.

The only importer of onnx.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

BLOCK = 32  # weights that share a scale; a float16 a block is 6 % more bytes
MIN_WEIGHTS = 4_096  # of a smaller tensor little is saved
LEVELS = 127


def in_eight_bits(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with each float32 weight in int8 and a scale per BLOCK, without notes of torch.

    A row of an embedding table has one scale.
    """
    graph = model.graph
    weights = {
        tensor.name: numpy_helper.to_array(tensor)
        for tensor in graph.initializer
        if tensor.data_type == TensorProto.FLOAT and np.prod(tensor.dims) >= MIN_WEIGHTS
    }
    uses = Counter(name for node in graph.node for name in node.input)
    tables = {
        node.input[0]
        for node in graph.node
        if node.op_type == "Gather" and uses[node.input[0]] == 1 and _rows_of(node) == 0
    }
    tables = {name for name in tables & weights.keys() if weights[name].ndim == 2}
    nodes: list[onnx.NodeProto] = []
    constants = [tensor for tensor in graph.initializer if tensor.name not in weights]
    for name in sorted(weights.keys() - tables):
        constants += _stored(name, weights[name].reshape(-1, _block_of(weights[name])))
        constants.append(_tensor(f"{name}.shape", np.array(weights[name].shape, np.int64)))
        nodes += _dequantised(name, f"{name}.blocks")
        nodes.append(helper.make_node("Reshape", [f"{name}.blocks", f"{name}.shape"], [name]))
    for node in graph.node:
        if node.op_type == "Gather" and node.input[0] in tables:
            constants += _stored(node.input[0], weights[node.input[0]])
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
    onnx.checker.check_model(made)
    return made


def _block_of(weights: np.ndarray) -> int:
    """BLOCK, or all weights where they do not divide into blocks."""
    return BLOCK if weights.size % BLOCK == 0 else int(weights.size)


def _stored(name: str, rows: np.ndarray) -> Iterator[onnx.TensorProto]:
    """The weights of `rows` in int8, and a float16 scale per row that is never zero."""
    exact = np.abs(rows).max(axis=1, keepdims=True) / LEVELS
    scales = np.maximum(exact, np.finfo(np.float16).smallest_subnormal).astype(np.float16)
    levels = np.rint(rows / scales.astype(np.float32))
    yield _tensor(f"{name}.int8", np.clip(levels, -LEVELS, LEVELS).astype(np.int8))
    yield _tensor(f"{name}.scales", scales)


def _dequantised(name: str, out: str, prefix: str = "") -> list[onnx.NodeProto]:
    """Nodes that multiply what is stored under a name by its scales, in float32."""
    prefix = prefix or name
    return [
        helper.make_node("Cast", [f"{prefix}.int8"], [f"{prefix}.levels"], to=TensorProto.FLOAT),
        helper.make_node("Cast", [f"{prefix}.scales"], [f"{prefix}.by"], to=TensorProto.FLOAT),
        helper.make_node("Mul", [f"{prefix}.levels", f"{prefix}.by"], [out]),
    ]


def _rows_taken(node: onnx.NodeProto) -> list[onnx.NodeProto]:
    """Nodes that take rows of a stored table, and then turn them into float32."""
    table, indices = node.input
    (out,) = node.output
    gathers = [
        helper.make_node("Gather", [f"{table}.{part}", indices], [f"{out}.{part}"], axis=0)
        for part in ("int8", "scales")
    ]
    return gathers + _dequantised(table, out, out)


def _rows_of(node: onnx.NodeProto) -> int:
    """The axis that a Gather takes entries of."""
    return next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 0)


def _tensor(name: str, values: np.ndarray) -> onnx.TensorProto:
    return numpy_helper.from_array(values, name)


def _forget_origins(model: onnx.ModelProto) -> None:
    """Remove what torch notes of each node: lines of its source, with this machine's paths."""
    parts: list[Any] = [model, model.graph, *model.graph.node, *model.graph.initializer]
    for part in [*parts, *model.graph.input, *model.graph.output]:
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
