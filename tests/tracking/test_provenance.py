"""Git is asked for the commit without starting the programs that a checkout names."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path

import pytest

from archsearch.tracking import provenance as module


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A checkout whose monitor of the file system leaves the file `started`, and an archsearch that is installed."""
    monitor = tmp_path / "monitor"
    monitor.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n")
    monitor.chmod(0o755)
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org"]
    folder = tmp_path / "checkout"
    folder.mkdir()
    (folder / "x.txt").touch()
    for arguments in (["init", "-q"], ["add", "x.txt"], ["commit", "-q", "-m", "a"]):
        subprocess.run([*git, *arguments], cwd=folder, check=True)
    subprocess.run(["git", "config", "core.fsmonitor", str(monitor)], cwd=folder, check=True)
    monkeypatch.setattr(module, "__file__", str(tmp_path / "site-packages" / "archsearch" / "tracking" / "x.py"))
    module.provenance.cache_clear()
    with chdir(folder):
        yield folder
    module.provenance.cache_clear()


def test_a_checkout_starts_no_filter_of_its_own(checkout: Path) -> None:
    started = checkout.parent / "started"
    subprocess.run(["git", "config", "core.fsmonitor", "false"], cwd=checkout, check=True)
    for name, value in (
        ("clean", f"touch {started}; cat"),
        ("process", f"touch {started}; false"),
        ("required", "true"),
    ):
        subprocess.run(["git", "config", f"filter.mine.{name}", value], cwd=checkout, check=True)
    (checkout / ".gitattributes").write_text("*.txt filter=mine\n")
    (checkout / "x.txt").write_text("changed")
    subprocess.run(["git", "status"], cwd=checkout, capture_output=True, env=os.environ, check=False)
    assert started.exists()  # the trap works
    started.unlink()
    assert module.provenance("a machine")["git.dirty"] == "true"
    assert not started.exists()


def test_a_checkout_starts_no_program_of_its_own(checkout: Path) -> None:
    subprocess.run(["git", "status"], cwd=checkout, capture_output=True, env=os.environ, check=True)
    started = checkout.parent / "started"
    assert started.exists()  # the trap works
    started.unlink()
    tags = module.provenance("a machine")
    assert len(tags["mlflow.source.git.commit"]) == 40 and tags["git.dirty"] == "false"
    assert not started.exists()
