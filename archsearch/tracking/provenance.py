"""Where a run's numbers come from: code, versions, hardware."""

import getpass
import platform
import subprocess
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from archsearch import __version__


@cache
def provenance(hardware: str) -> Mapping[str, str]:
    """Tags with the commit, the versions and the `hardware` that this process's runs are made with."""
    tags = {
        "archsearch.version": __version__,
        "versions.python": platform.python_version(),
        **{f"versions.{package}": _version(package) for package in ("torch", "hydra-core", "mlflow")},
        "hardware": hardware,
        "mlflow.source.type": "LOCAL",
        "mlflow.source.name": "archsearch",
        "mlflow.user": _user(),
    }
    commit = _git("rev-parse", "HEAD")
    if commit:
        tags["mlflow.source.git.commit"] = commit
        tags["git.dirty"] = str(bool(_git("status", "--porcelain", "--untracked-files=no"))).lower()
    return tags


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no variable says it, and the password database does not know the number
        return "unknown"


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
