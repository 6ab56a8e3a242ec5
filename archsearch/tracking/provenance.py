"""Where a run's numbers come from: code, versions, hardware."""

import getpass
import os
import platform
import subprocess
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from archsearch import __version__


@cache
def provenance(device: str) -> Mapping[str, str]:
    """Tags that say which commit, versions and hardware (`device` as torch names it) make this process's runs."""
    tags = {
        "archsearch.version": __version__,
        "versions.python": platform.python_version(),
        **{f"versions.{package}": _version(package) for package in ("torch", "hydra-core", "mlflow")},
        "hardware": hardware(device),
        "mlflow.source.type": "LOCAL",
        "mlflow.source.name": "archsearch",
        "mlflow.user": _user(),
    }
    commit = _git("rev-parse", "HEAD")
    if commit:
        tags["mlflow.source.git.commit"] = commit
        tags["git.dirty"] = str(bool(_git("status", "--porcelain", "--untracked-files=no"))).lower()
    return tags


def hardware(device: str) -> str:
    """The processor that `device` means, in words."""
    if device.startswith("cuda"):
        import torch

        return torch.cuda.get_device_name(device)
    return f"{_processor()}, {os.cpu_count()} cores"


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no variable says it, and the password database does not know the number
        return "unknown"


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _git(*arguments: str) -> str | None:
    """What git says of the folder that archsearch was imported from or, installed, of the working directory."""
    package = Path(__file__).resolve().parent.parent
    checkout = package.parent if (package.parent / ".git").exists() else Path.cwd()
    try:
        done = subprocess.run(["git", *arguments], cwd=checkout, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
