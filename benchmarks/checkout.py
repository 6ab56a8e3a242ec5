"""Runs this checkout's archsearch as a command of its own, and reads its configuration from it."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from candidates.reference import peak_rss

BENCHMARKS = Path(__file__).resolve().parent
REPOSITORY = BENCHMARKS.parent
OUTPUT = "output.txt"


@dataclass(frozen=True)
class Completed:
    """A command that exited with status 0."""

    output: str  # stdout and stderr
    began: float  # seconds since 1970
    ended: float
    peak_rss: int  # bytes, of its largest process, children included

    @property
    def seconds(self) -> float:
        """From the start to the exit."""
        return self.ended - self.began


def environment() -> dict[str, str]:
    """The environment of this process, changed so that `import archsearch` finds this checkout.

    Bytecode is cached, as it is for users.
    """
    path = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")]))
    variables = {**os.environ, "PYTHONPATH": path}
    variables.pop("PYTHONDONTWRITEBYTECODE", None)
    return variables


def run_module(arguments: Sequence[str], folder: Path, **variables: str) -> Completed:
    """Run `python -m ARGUMENTS` in `folder`, where its output is kept in a file; `variables` join the environment.

    Raises `SystemExit` with the end of the output if the command fails.
    """
    command = [sys.executable, "-m", *arguments]
    path = folder / OUTPUT
    with path.open("w") as output:
        began = time.time()
        process = subprocess.Popen(
            command, cwd=folder, env={**environment(), **variables}, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            raise
        ended = time.time()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)}: exit status {process.returncode}\n{path.read_text()[-2000:]}")
    return Completed(path.read_text(), began, ended, peak_rss(usage))


def composed_config(*overrides: str) -> dict[str, Any]:
    """The configuration that `python -m archsearch OVERRIDES` composes.

    It runs in a process of its own, so that this one stays small: see `runner`.
    """
    import yaml

    command = [sys.executable, "-m", "archsearch", *overrides, "--cfg", "job"]
    process = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    if process.returncode:
        raise SystemExit(process.stderr or process.stdout)
    return dict(yaml.safe_load(process.stdout))


def default_epochs() -> int:
    """The number of epochs of `python -m archsearch` without overrides."""
    return int(composed_config()["trainer"]["epochs"])
