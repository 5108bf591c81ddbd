"""What a run depended on beside its own settings: revision, versions, processor."""

import os
import platform
import subprocess
import sys
from typing import Any, Optional

import numpy as np

import bootstrap
import caffe

__all__ = ["revision", "versions"]


def revision(root: str = bootstrap.ROOT) -> Optional[dict[str, Any]]:
    """{"commit": of the checkout, "changed": whether tracked files differ}; None without git."""
    if not os.path.exists(os.path.join(root, ".git")):
        return None
    commit = _git(root, "rev-parse", "HEAD")
    changes = _git(root, "status", "--porcelain", "--untracked-files=no")
    if commit is None or changes is None:
        return None
    return {"commit": commit, "changed": bool(changes)}


def _git(root: str, *arguments: str) -> Optional[str]:
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
