"""From a net description to the one that runs: state rules applied, Split layers inserted.

Both steps turn one ``NetParameter`` into another, as in BVLC (facts of ``net.cpp`` and
``insert_splits.cpp``); wiring layers to blobs is :mod:`caffe.net.wiring`'s part.
"""

from __future__ import annotations

from typing import Any

from caffe import glog
from caffe.errors import PrototxtError
from caffe.hints import did_you_mean
from caffe.proto import caffe_pb2

__all__ = ["filter_net", "insert_splits", "split_blob_name", "state_meets_rule"]


def filter_net(net: Any) -> Any:
    """The layers of ``net`` whose include/exclude rules its ``state`` meets."""
    kept = caffe_pb2.NetParameter()
    kept.CopyFrom(net)
    del kept.layer[:]
    for layer in net.layer:
        if layer.include and layer.exclude:
            raise PrototxtError(
                f"layer '{layer.name}': specify either include rules or exclude rules, not both"
            )
        rules = layer.include or layer.exclude
        met = any(state_meets_rule(net.state, rule, layer.name) for rule in rules)
        if met == bool(layer.include):
            kept.layer.add().CopyFrom(layer)
    return kept


def state_meets_rule(state: Any, rule: Any, layer: str = "") -> bool:
    """True where phase, level and every stage condition of the rule hold.

    With the name of the ``layer`` that has the rule, the condition that does not hold is logged.
    """
    why = _unmet(state, rule)
    if why and layer:
        glog.info("net", f"{why} specified by a rule in layer {layer}")
    return not why


def _unmet(state: Any, rule: Any) -> str:
    """The first condition of the rule that does not hold, in BVLC's words; empty if all hold."""
    if rule.HasField("phase") and rule.phase != state.phase:
        return f"The NetState phase ({state.phase}) differed from the phase ({rule.phase})"
    # BVLC says "above" for both.
    if rule.HasField("min_level") and state.level < rule.min_level:
        return f"The NetState level ({state.level}) is above the min_level ({rule.min_level})"
    if rule.HasField("max_level") and state.level > rule.max_level:
        return f"The NetState level ({state.level}) is above the max_level ({rule.max_level})"
    for stage in rule.stage:
        if stage not in state.stage:
            return f"The NetState did not contain stage '{stage}'"
    for stage in rule.not_stage:
        if stage in state.stage:
            return f"The NetState contained a not_stage '{stage}'"
    return ""


def split_blob_name(blob: str, layer: str, top: int, copy: int | None = None) -> str:
    """The name of a Split layer, or with ``copy`` that of one of its tops."""
    name = f"{blob}_{layer}_{top}_split"
    return name if copy is None else f"{name}_{copy}"


def insert_splits(net: Any) -> Any:
    """``net`` with a Split after every top that is used more than once.

    A use is a bottom that names the top, or an explicit loss weight on it; the loss use takes
    copy 0 and the weight moves there.
    """
    producer: dict[str, tuple[int, int]] = {}  # blob name -> (layer, top) that made it last
    source: dict[tuple[int, int], tuple[int, int]] = {}  # (layer, bottom) -> (layer, top)
    uses: dict[tuple[int, int], int] = {}
    loss_weight: dict[tuple[int, int], float] = {}
    for i, layer in enumerate(net.layer):
        for j, blob in enumerate(layer.bottom):
            if blob not in producer:
                raise PrototxtError(_unknown_bottom(layer, j, producer))
            source[i, j] = producer[blob]
            uses[producer[blob]] = uses.get(producer[blob], 0) + 1
        for j, blob in enumerate(layer.top):
            producer[blob] = (i, j)
        for j, weight in enumerate(layer.loss_weight[: len(layer.top)]):
            if weight:
                top = producer[layer.top[j]]
                loss_weight[top] = weight
                uses[top] = uses.get(top, 0) + 1

    result = caffe_pb2.NetParameter()
    result.CopyFrom(net)
    del result.layer[:]
    taken: dict[tuple[int, int], int] = {}
    for i, layer in enumerate(net.layer):
        copy = result.layer.add()
        copy.CopyFrom(layer)
        for j, blob in enumerate(layer.bottom):
            top = source[i, j]
            if uses[top] > 1:
                k = taken.get(top, 0)
                taken[top] = k + 1
                copy.bottom[j] = split_blob_name(blob, net.layer[top[0]].name, top[1], k)
        for j, blob in enumerate(layer.top):
            count = uses.get((i, j), 0)
            if count <= 1:
                continue
            split = result.layer.add(
                name=split_blob_name(blob, layer.name, j),
                type="Split",
                bottom=[blob],
                top=[split_blob_name(blob, layer.name, j, k) for k in range(count)],
            )
            if (i, j) in loss_weight:
                split.loss_weight.extend([loss_weight[i, j]] + [0.0] * (count - 1))
                del copy.loss_weight[:]
                taken[i, j] = 1
    return result


def _unknown_bottom(layer: Any, index: int, known: dict[str, Any]) -> str:
    blob = layer.bottom[index]
    return (
        f"Unknown bottom blob '{blob}' (layer '{layer.name}', bottom index {index}): no layer "
        f"before it has such a top in this phase.{did_you_mean(blob, known, 3)}"
    )
