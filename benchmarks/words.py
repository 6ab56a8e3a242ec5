"""What the default recipe is, asked of the command itself: no benchmark has its own idea of it."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).resolve().parent.parent


def composed(*words: str) -> dict[str, Any]:
    """The configuration that `words` mean."""
    path = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "archsearch", *words, "--cfg", "job"]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr or done.stdout)
    return dict(yaml.safe_load(done.stdout))


def default_epochs() -> int:
    """Of `python -m archsearch` without any overrides."""
    return int(composed()["trainer"]["epochs"])
