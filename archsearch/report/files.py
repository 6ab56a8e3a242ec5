"""Where a report is written: the page, and the leaderboard as CSV and JSON beside it."""

import os
import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from urllib.parse import quote
from zlib import crc32

from archsearch.errors import ReportError, StorageError
from archsearch.report.findings import Findings
from archsearch.report.options import Options
from archsearch.report.sources import Selection
from archsearch.runs.folder import OUTPUTS
from archsearch.system.atomic import write_text

PAGE = "report.html"
DATA = (".csv", ".json")
_MARK = '<meta name="generator" content="archsearch report">'
_HEAD = 2000  # characters that contain the mark
_FOOTER = re.compile(r"<footer><p>(Created|Made) [\d :-]*by archsearch")  # of versions without the mark
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


def check_page(path: Path, is_chosen: bool = True) -> None:
    """Raises `ReportError` if a page and its data at `path` would replace anything but a report.

    A page that is not `is_chosen` lies at the default path, whose names are the report's own: data beside it may be
    replaced even if the page itself is gone.
    """
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
    content = _content(path)
    if content is not None and not _is_report(content):
        raise ReportError(f"html: got {path}, which exists and is no report of archsearch; choose another path")
    for file in data_paths(path):
        is_of_report = content is not None and f'<a href="{quote(file.name)}">' in content
        if is_chosen and not is_of_report and file.exists():
            raise ReportError(f"html: got {path}, but {file}, which would be replaced, exists; choose another path")


def _content(page: Path) -> str | None:
    """The page at this path; None if there is none."""
    try:
        return page.read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StorageError(f"html: got {page}: {error.strerror or error}; choose another path") from error


def _is_report(content: str) -> bool:
    """Whether a page is a report, of this or an earlier version."""
    return _MARK in content[:_HEAD] or _FOOTER.search(content) is not None


def data_paths(page: Path) -> list[Path]:
    """The CSV and JSON files beside the page."""
    return [page.with_suffix(suffix) for suffix in DATA]


def write_files(page: Path, contents: Sequence[str], is_chosen: bool = True) -> None:
    """Write the page, the CSV and the JSON file, by rename. Raises as `check_page` does, and `StorageError`."""
    check_page(page, is_chosen)
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
