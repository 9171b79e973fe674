"""From a trained network to a version folder: ONNX file, card, golden vectors.

Needs the extra ``train`` (torch, onnx, onnxscript); nothing else imports this module.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper

from consumers.learning.train import Sample, Trained
from schemas.errors import Misconfigured
from schemas.model_card import (
    CARD_FILE,
    INPUT_NAME,
    MODEL_FILE,
    OUTPUT_NAME,
    ModelCard,
    features_hash,
)
from schemas.model_features import FEATURES, MODEL, STEPS

OPSET: Final = 18
EXAMPLE_NAMES: Final = 3
"""An example of one name would silently fix the first axis (measured)."""

GOLDEN_NAMES: Final = 4
MODEL_BYTES_MAX: Final = 300_000
NAMES_AXIS: Final = "names"


def to_onnx(network: Any) -> bytes:
    """Return the graph without anything that tells of the machine it was made on.

    Raises:
        Misconfigured: The export fixed the first axis or is too large.
    """
    example = torch.zeros((EXAMPLE_NAMES, STEPS, len(FEATURES)))
    program = torch.onnx.export(
        network,
        (example,),
        input_names=[INPUT_NAME],
        output_names=[OUTPUT_NAME],
        opset_version=OPSET,
        dynamic_shapes={"sequence": {0: torch.export.Dim(NAMES_AXIS)}},
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    graph = program.model_proto
    _strip(graph)
    helper.set_model_props(graph, {"features_hash": features_hash(FEATURES, STEPS)})
    onnx.checker.check_model(graph, full_check=True)
    axis = graph.graph.input[0].type.tensor_type.shape.dim[0]
    if not axis.dim_param:
        raise Misconfigured(f"expected a dynamic first axis, was {axis.dim_value}")
    content: bytes = graph.SerializeToString(deterministic=True)
    if len(content) > MODEL_BYTES_MAX:
        raise Misconfigured(f"expected at most {MODEL_BYTES_MAX} bytes, was {len(content)}")
    return content


def write(
    out: Path,
    trained: Trained,
    dates: Sequence[Sample],
    *,
    version: int,
    origin: str,
    seed: int,
) -> ModelCard:
    """Write ``<out>/<model>/<version>`` and return its card.

    Raises:
        Misconfigured: The version exists.
    """
    folder = out / MODEL / str(version)
    if folder.exists():
        raise Misconfigured(
            f"expected a new version of {MODEL}, was {version}, which exists; "
            "versions are immutable: choose the next number"
        )
    content = to_onnx(trained.network)
    golden = np.ascontiguousarray(dates[-1].values[:GOLDEN_NAMES])
    with torch.no_grad():
        answer = trained.network(torch.from_numpy(golden)).numpy()
    card = ModelCard(
        model=MODEL,
        version=version,
        sha256=hashlib.sha256(content).hexdigest(),
        features=FEATURES,
        steps=STEPS,
        features_hash=features_hash(FEATURES, STEPS),
        opset=OPSET,
        trained_on=origin,
        skill="not shown",
        remark=f"trained on {origin}; skill on real stocks: not shown",
        seed=seed,
        metrics=trained.metrics,
        golden_names=GOLDEN_NAMES,
        golden_input=golden.astype("<f4").tobytes(),
        golden_output=answer.astype("<f4").tobytes(),
    )
    part = folder.with_name(f".{version}.part")
    part.mkdir(parents=True, exist_ok=True)
    (part / MODEL_FILE).write_bytes(content)
    (part / CARD_FILE).write_text(card.to_json() + "\n", "utf-8")
    part.rename(folder)
    return card


def probe_graph() -> bytes:
    """Return the graph by which serving proves a provider: an LSTM and a product, fixed shapes.

    Shape arithmetic runs on the CPU by design, so a model with a dynamic axis could never pass a
    session whose CPU fallback is disabled; this graph has none.
    """
    gates = helper.make_tensor("gates", TensorProto.FLOAT, (1, 4, 1), [0.5] * 4)
    loop = helper.make_tensor("loop", TensorProto.FLOAT, (1, 4, 1), [0.25] * 4)
    head = helper.make_tensor("head", TensorProto.FLOAT, (1, 1), [2.0])
    nodes = [
        helper.make_node("LSTM", [INPUT_NAME, "gates", "loop"], ["", "hidden"], hidden_size=1),
        helper.make_node("MatMul", ["hidden", "head"], [OUTPUT_NAME]),
    ]
    inputs = [helper.make_tensor_value_info(INPUT_NAME, TensorProto.FLOAT, (1, 2, 1))]
    outputs = [helper.make_tensor_value_info(OUTPUT_NAME, TensorProto.FLOAT, (1, 2, 1))]
    graph = helper.make_graph(nodes, "probe", inputs, outputs, [gates, loop, head])
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10, producer_name="aegis"
    )
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def _strip(model: Any) -> None:
    """Remove stack traces and names of files: the exporter writes them into every node."""
    model.doc_string = ""
    del model.metadata_props[:]
    del model.functions[:]
    graph = model.graph
    graph.doc_string = ""
    del graph.metadata_props[:]
    del graph.value_info[:]
    for part in (*graph.node, *graph.input, *graph.output, *graph.initializer):
        part.doc_string = ""
        del part.metadata_props[:]
