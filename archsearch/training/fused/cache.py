"""Numba's cache of compiled functions on disk: used only if nobody else can write it, rebuilt if it is damaged.

Numba unpickles what it reads there, so whoever can write the cache can run code as this user.
"""

import logging
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import numba

log = logging.getLogger(__name__)

F = TypeVar("F", bound=Callable[..., Any])

_cached: list[tuple[Path, str]] = []  # the folder and the beginning of the names of each function's files


def compiled(function: F) -> F:
    """`function`, which Numba compiles at its first call, or loads from its cache."""
    # "contract" multiplies and adds in one instruction. Other fastmath flags are off: nan must stay nan.
    options: dict[str, Any] = {"nogil": True, "fastmath": {"contract"}}
    for is_own in (False, True):  # first where Numba puts it, which is beside the file if that can be written
        dispatcher = _with_cache(function, is_own, options)
        if dispatcher is None:  # it cannot be written
            continue
        folder = Path(dispatcher.stats.cache_path)
        if is_private(folder):
            source = Path(function.__code__.co_filename)
            _cached.append((folder, f"{source.stem}.{function.__name__}-"))
            _remove_older(*_cached[-1], source)
            return dispatcher  # type: ignore[no-any-return]
        _warn_of(folder)
    return numba.njit(**options)(function)  # type: ignore[no-any-return]


def _remove_older(folder: Path, prefix: str, source: Path) -> None:
    """Remove what was compiled before a file beside `source` changed: Numba notices changes of `source` only."""
    with suppress(OSError):
        changed = max(path.stat().st_mtime for path in source.parent.glob("*.py"))
        for path in folder.glob(f"{prefix}*.nbi"):
            if path.stat().st_mtime < changed:
                path.unlink()


def _with_cache(function: Callable[..., Any], is_own: bool, options: dict[str, Any]) -> Any | None:
    """`function` with a cache, which is this user's own or where Numba puts it; None if that cannot be written."""
    config: Any = numba.config
    before = config.CACHE_DIR
    try:
        config.CACHE_DIR = str(_own_cache()) if is_own else before
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # also of a user without a home
        return None
    finally:
        config.CACHE_DIR = before


def _own_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "archsearch" / "numba"


def is_private(folder: Path) -> bool:
    """Whether nobody but this user (and root) can write `folder`, its files, or replace it in a folder above it."""
    if not hasattr(os, "geteuid"):  # Windows: folders below a user's own are private
        return True
    try:
        path = folder.resolve()
        files = [file for file in path.iterdir() if file.suffix in (".nbi", ".nbc")]
        return all(_only_own(file.lstat()) for file in (path, *files)) and all(
            _only_own(parent.stat(), shared_is_fine=True) for parent in path.parents
        )
    except OSError:
        return False


def works(call: Callable[[], object]) -> bool:
    """Whether `call`, which calls compiled functions, works. Rebuilds their cache if that is damaged."""
    try:
        call()
        return True
    except Exception as error:  # a damaged pickle raises nearly anything
        log.warning("WARNING: Numba's cache cannot be read (%s: %s): rebuilding it", type(error).__name__, error)
    for folder, prefix in _cached:
        for path in folder.glob(f"{prefix}*.nb[ic]"):
            with suppress(OSError):
                path.unlink()
    try:
        call()
        return True
    except Exception as error:
        log.warning("WARNING: Numba fails (%s: %s): training goes on without fused layers", type(error).__name__, error)
        return False


def _only_own(status: os.stat_result, *, shared_is_fine: bool = False) -> bool:
    """Whether only this user and root can write. `shared_is_fine` for folders where nobody can rename others' files."""
    if shared_is_fine and status.st_mode & stat.S_ISVTX:  # as /tmp
        return True
    if status.st_uid not in (0, os.geteuid()) or status.st_mode & stat.S_IWOTH:
        return False
    return not status.st_mode & stat.S_IWGRP or status.st_gid == 0 or _is_own_group(status.st_gid)


def _is_own_group(number: int) -> bool:
    """Whether a group is this user's own and has no other members, as distributions make one for each user."""
    import grp
    import pwd

    try:
        group, user = grp.getgrgid(number), pwd.getpwuid(os.geteuid())
    except KeyError:
        return False
    return user.pw_gid == number and set(group.gr_mem) <= {user.pw_name} and group.gr_name == user.pw_name


_warned: set[Path] = set()


def _warn_of(folder: Path) -> None:
    if folder not in _warned:
        _warned.add(folder)
        advice = "set NUMBA_CACHE_DIR to a folder of your own"
        log.warning("WARNING: Numba's cache in %s is not used, because others can write it; %s", folder, advice)
