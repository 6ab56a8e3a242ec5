"""The code, versions and hardware that produced a run."""

import getpass
import platform
import subprocess
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from archsearch import __version__

# A checkout can name programs that git starts; archsearch may stand in one that somebody else has made.
_NO_PROGRAMS = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null")
_FILTERS = r"^filter\..*\.(clean|process|required)$"


@cache
def provenance(hardware: str) -> Mapping[str, str]:
    """Tags of every run of this process: git commit, versions, user and `hardware`."""
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
        changes = _git(*_no_filters(), "status", "--porcelain", "--untracked-files=no")
        tags["git.dirty"] = str(bool(changes)).lower()
    return tags


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no environment variable is set, and the password database lacks the user id
        return "unknown"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _no_filters() -> list[str]:
    """Options that switch off the programs through which git would read changed files."""
    names = (_git("config", "--name-only", "--get-regexp", _FILTERS) or "").splitlines()
    values = {name: "false" if name.endswith(".required") else "" for name in names}
    return [word for name, value in values.items() for word in ("-c", f"{name}={value}")]


def _git(*arguments: str) -> str | None:
    """Run git in archsearch's checkout or, if archsearch is installed, in the working directory. None if git fails."""
    package = Path(__file__).resolve().parent.parent
    checkout = package.parent if (package.parent / ".git").exists() else Path.cwd()
    try:
        process = subprocess.run(
            ["git", *_NO_PROGRAMS, *arguments], cwd=checkout, capture_output=True, text=True, timeout=5, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return process.stdout.strip()
