"""The log lines of ``debug_info: true``: mean absolute values, layer by layer."""

from __future__ import annotations

import torch

from caffe import glog
from caffe.net.wiring import Graph

__all__ = ["log_backward", "log_forward", "log_params"]


def log_forward(graph: Graph, i: int) -> None:
    """One line for each top and each parameter of layer ``i``, after its forward pass."""
    layer = graph.layers[i]
    for b in graph.tops[i]:
        _log(
            "Forward",
            layer.name,
            "top blob",
            graph.blob_names[b],
            "data",
            graph.blobs[b].data_tensor(),
        )
    for j, blob in enumerate(layer.blobs):
        specs = layer.param.param
        named = specs[j].name if j < len(specs) else ""
        _log("Forward", layer.name, "param blob", named or str(j), "data", blob.data_tensor())


def log_backward(graph: Graph, i: int) -> None:
    """One line for each diff that layer ``i`` has computed."""
    layer = graph.layers[i]
    for b, needed in zip(graph.bottoms[i], graph.bottom_needs_backward[i]):
        if needed:
            _log(
                "Backward",
                layer.name,
                "bottom blob",
                graph.blob_names[b],
                "diff",
                graph.blobs[b].diff_tensor(),
            )
    for j, (blob, needed) in enumerate(zip(layer.blobs, graph.param_needs_backward[i])):
        if needed:
            _log("Backward", layer.name, "param blob", str(j), "diff", blob.diff_tensor())


def log_params(graph: Graph) -> None:
    """One line with the norms of all parameters together, after a whole backward pass.

    BVLC writes it with the severity ERROR.
    """
    norms = []
    for order in (1, 2):
        for read in ("data_tensor", "diff_tensor"):
            parts = [torch.linalg.vector_norm(getattr(p.blob, read)(), order) for p in graph.params]
            norms.append(float(torch.linalg.vector_norm(torch.stack(parts), order)) if parts else 0)
    l1_data, l1_diff, l2_data, l2_diff = norms
    glog.error(
        "net",
        f"    [Backward] All net params (data, diff): L1 norm = ({l1_data:.6g}, {l1_diff:.6g}); "
        f"L2 norm = ({l2_data:.6g}, {l2_diff:.6g})",
    )


def _log(way: str, layer: str, kind: str, blob: str, part: str, values: torch.Tensor) -> None:
    mean = float(values.abs().mean()) if values.numel() else 0.0
    glog.info("net", f"    [{way}] Layer {layer}, {kind} {blob} {part}: {mean:.6g}")
