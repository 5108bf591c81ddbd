"""What a run is and depended on: its experiment, settings, revision, versions."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

import bootstrap
import caffe
from fcn import catalog
from fcn.scoring import results

if TYPE_CHECKING:
    from fcn.catalog.experiment import Experiment

__all__ = ["facts", "revision", "versions"]


def facts(
    experiment: Experiment, names: Sequence[str], palette: np.ndarray, **settings: Any
) -> dict[str, Any]:
    """What run.json says of a run when it begins.

    names, palette: of the first output's classes, and a colour (R, G, B) for each, or more.
    settings: what this run has of its own.
    """
    described = experiment.dataset.description
    return {
        "experiment": experiment.name,
        "dataset": described.name if described else experiment.dataset.label,
        "backbone": experiment.backbone,
        "stride": experiment.stride,
        "head": experiment.head,
        "net": os.path.abspath(os.path.dirname(catalog.net_path(experiment.name, "deploy"))),
        "classes": list(names),
        "palette": palette[: len(names)].tolist(),
        **settings,
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "command": [os.path.basename(sys.argv[0]), *sys.argv[1:]],
        "engine": results.engine(),
        "versions": versions(),
        "git": revision(),
    }


def revision(root: str = bootstrap.ROOT) -> dict[str, Any] | None:
    """{"commit": of the checkout, "changed": whether tracked files differ}; None without git."""
    if not os.path.exists(os.path.join(root, ".git")):
        return None
    commit = _git(root, "rev-parse", "HEAD")
    changes = _git(root, "status", "--porcelain", "--untracked-files=no")
    if commit is None or changes is None:
        return None
    return {"commit": commit, "changed": bool(changes)}


def _git(root: str, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", root, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=20,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", "replace").strip() if done.returncode == 0 else None


def versions() -> dict[str, str]:
    """{program: version} of what computes."""
    found = {
        "python": platform.python_version(),
        "caffe": getattr(caffe, "__version__", "1.0"),
        "numpy": np.__version__,
        "system": platform.platform(),
    }
    torch = sys.modules.get("torch")  # BVLC Caffe has none
    if torch is not None:
        found["torch"] = torch.__version__
        if torch.version.cuda:
            found["cuda"] = torch.version.cuda
    return found
