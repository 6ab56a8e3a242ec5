"""Where a report is written: the page, and the leaderboard as CSV and JSON beside it."""

import os
import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from zlib import crc32

from archsearch.errors import ReportError, StorageError
from archsearch.report.findings import Findings
from archsearch.report.options import Options
from archsearch.report.sources import Selection
from archsearch.runs.folder import OUTPUTS
from archsearch.system.atomic import write_text

PAGE = "report.html"
DATA = (".csv", ".json")
_LONGEST_NAME = 40  # characters of a variant in the name of a file


def page_path(options: Options, selection: Selection, findings: Sequence[Findings]) -> Path:
    """The path of the page: `html=`, else in the sweep's folder, else in a new one. A comparison has its own name."""
    if options.html is not None:
        return Path(options.html)
    now = datetime.now().strftime("%Y-%m-%d_%H-%M-%S-%f")
    folder = selection.folder or OUTPUTS / "reports" / now
    pair = next((study.pair for study in findings if study.board.compared is not None), None)
    if pair is None:
        return folder / PAGE
    return folder / f"report-{_slug(pair.a.label)}-vs-{_slug(pair.b.label)}.html"


def check_page(path: Path) -> None:
    """Raises `ReportError` unless a page and its data can be written at `path` without replacing anything special."""
    if path.suffix.lower() in DATA:
        raise ReportError(f"html: got {path}, must not end in {' or '.join(DATA)}, which are written beside the page")
    if not path.name:
        raise ReportError(f"html: got {path}, must be the path of a file")
    for file in (path, *data_paths(path)):
        try:
            mode = os.lstat(file).st_mode
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise StorageError(f"html: got {path}: {error.strerror or error}; choose another path") from error
        if not S_ISREG(mode):
            kind = "a folder" if S_ISDIR(mode) else "a link" if file.is_symlink() else "a device, pipe or socket"
            raise ReportError(f"html: got {path}, must be a new name or a regular file, but {file} is {kind}")


def data_paths(page: Path) -> list[Path]:
    """The CSV and JSON files beside the page."""
    return [page.with_suffix(suffix) for suffix in DATA]


def write_files(page: Path, contents: Sequence[str]) -> None:
    """Write the page, the CSV and the JSON file, by rename. Raises `StorageError` or `ReportError`."""
    check_page(page)
    try:
        page.parent.mkdir(parents=True, exist_ok=True)
        for path, content in zip((page, *data_paths(page)), contents, strict=True):
            write_text(path, content)
    except OSError as error:
        raise StorageError(f"cannot write {page}: {error.strerror or error}; choose another path with html=") from error


def _slug(label: str) -> str:
    """A variant's label in the name of a file; with a checksum if it is cut or has unusual characters."""
    slug = re.sub(r"[^\w.=+-]+", "_", label, flags=re.ASCII)
    if slug == label.replace(" ", "_") and len(slug) <= _LONGEST_NAME:
        return slug
    return f"{slug[:_LONGEST_NAME]}-{crc32(label.encode(errors='replace')):08x}"
