"""Imports without garbage collection, memory that is kept, and exit without teardown."""

import gc
import inspect
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from archsearch.sweep import worker
from archsearch.system.process import end_process, gc_paused, skip_teardown
from archsearch.tracking import recorder_server
from tests.support.processes import REPOSITORY


def test_garbage_is_not_collected_during_imports() -> None:
    with gc_paused():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_imported_objects_are_exempt_from_later_collections() -> None:
    before = gc.get_freeze_count()
    with gc_paused():
        pass
    assert gc.get_freeze_count() > before


def test_collection_resumes_after_a_failed_import() -> None:
    with pytest.raises(ImportError), gc_paused():
        raise ImportError
    assert gc.isenabled()


def test_imports_can_be_nested() -> None:
    with gc_paused():
        with gc_paused():
            pass
        assert not gc.isenabled()


def run_code(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `code` in a process of its own: what is tested here changes the whole process."""
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


# Counts page faults, which do not depend on the machine's speed. glibc may keep smaller blocks by itself.
_PAGE_FAULTS = """
import resource, sys
from archsearch.system.process import keep_freed_memory
kept = keep_freed_memory() if sys.argv[1] == "keep" else None
for _ in range(3):  # allocates the memory
    [bytearray(40_000_000) for _ in range(2)]
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    [b"x" * 40_000_000 for _ in range(2)]
print(kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(*arguments: str, **environment: str) -> tuple[str, int]:
    process = run_code(_PAGE_FAULTS, *arguments, **environment)
    assert process.returncode == 0, process.stderr
    kept, count = process.stdout.split()
    return kept, int(count)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's malloc")
def test_freed_memory_is_reused() -> None:
    kept, few = page_faults("keep")
    if kept == "False":
        pytest.skip("this C library has no mallopt")
    _, many = page_faults("leave")
    assert few * 10 < many


def test_malloc_settings_in_the_environment_are_respected() -> None:
    kept, _ = page_faults("keep", MALLOC_TRIM_THRESHOLD_="131072")
    assert kept == "False"


# The object's destructor would print when the interpreter is torn down.
_EXIT = """
import atexit, sys
from archsearch.system.process import end_process, skip_teardown

class Noisy:
    def __del__(self):
        print("teardown")

noisy = Noisy()
if sys.argv[1] == "skip":
    skip_teardown()
atexit.register(print, "exit function")
end_process(3)
"""


def test_a_process_ends_with_its_status_after_its_exit_functions() -> None:
    process = run_code(_EXIT, "skip")
    assert (process.returncode, process.stdout) == (3, "exit function\n")


def test_a_process_is_torn_down_unless_that_is_skipped() -> None:
    process = run_code(_EXIT, "normal")
    assert (process.returncode, process.stdout) == (3, "exit function\nteardown\n")


def test_a_process_that_ends_otherwise_is_torn_down() -> None:
    process = run_code(_EXIT.replace("end_process(3)", "sys.exit(4)"), "skip")
    assert (process.returncode, process.stdout) == (4, "exit function\nteardown\n")


_torn_down: object = None


def _end_with_something_to_tear_down(path: str) -> None:
    skip_teardown()
    global _torn_down  # noqa: PLW0603 # objects of a module are torn down last
    _torn_down = _TellsWhenTornDown(Path(path))
    end_process(3)


class _TellsWhenTornDown:
    def __init__(self, path: Path) -> None:
        self.path, self.write = path, Path.write_text

    def __del__(self) -> None:
        self.write(self.path, "torn down")


@pytest.mark.e2e
def test_a_spawned_process_ends_without_teardown(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_end_with_something_to_tear_down, args=(str(tmp_path / "torn"),))
    process.start()
    process.join(60)
    assert process.exitcode == 3
    assert not (tmp_path / "torn").exists()


@pytest.mark.parametrize(("module", "first_import"), [(worker, "gc_paused()"), (recorder_server, "import_store(")])
def test_workers_and_recorders_skip_teardown(module: ModuleType, first_import: str) -> None:
    body = inspect.getsource(module.serve)
    assert body.index("skip_teardown()") < body.index(first_import)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_output_that_cannot_be_written_is_a_failure() -> None:
    script = "from archsearch.system.process import *; skip_teardown(); print('x'); end_process(0)"
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    environment.pop("PYTHONUNBUFFERED", None)
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-c", script]
        done = subprocess.run(command, env=environment, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1 and "the output is incomplete" in done.stderr


_SPINS = """
import os
from archsearch.system.process import spin_briefly
print(spin_briefly(), os.environ.get("GOMP_SPINCOUNT"))
"""


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "True 10000"),
        ({"GOMP_SPINCOUNT": "5"}, "False 5"),
        ({"OMP_WAIT_POLICY": "active"}, "False None"),
    ],
)
def test_threads_spin_briefly_unless_the_environment_says_how_they_wait(
    environment: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    assert run_code(_SPINS, **environment).stdout.strip() == expected
