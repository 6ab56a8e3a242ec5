"""Tables that fit the terminal: plain and as wide as they are in files and pipes, coloured on a terminal."""

import io
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console

_GAP = 2  # spaces between columns
_NARROWEST_FOLD = 16  # characters of a column that wraps


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Where the terminal is too narrow, columns with the highest `optional` are left out first; those with 0 stay. A
    column that `folds` is wrapped instead.
    """

    heading: str
    left: bool = False  # aligned to the left, as words are
    optional: int = 0
    folds: bool = False


@dataclass(frozen=True)
class TextTable:
    """Rows of cells under headings. As a string it is plain and as wide as it needs to be.

    `styles` are rich's styles of cells, by their text: `{"FAILED": "red"}` colours cells that begin with that word.
    """

    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    styles: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.fitted(None)

    def fitted(self, width: int | None, console: "Console | None" = None) -> str:
        """The table in lines of at most `width` characters (None: no limit), with the colours of `console`."""
        shown = self._shown(width)
        if console is None and width is None:
            return "\n".join(self._plain_lines(shown))
        return self._rich_text(shown, width or 10_000, console)

    def _widths(self) -> list[int]:
        return [
            max(len(line) for cell in (column.heading, *(row[index] for row in self.rows)) for line in cell.split("\n"))
            for index, column in enumerate(self.columns)
        ]

    def _shown(self, width: int | None) -> list[int]:
        """The positions of the columns that fit into `width`."""
        widths = self._widths()
        shown = list(range(len(self.columns)))
        if width is None:
            return shown

        def needed() -> int:
            least = [
                min(widths[index], _NARROWEST_FOLD) if self.columns[index].folds else widths[index] for index in shown
            ]
            return sum(least) + _GAP * (len(shown) - 1)

        while needed() > width and any(self.columns[index].optional for index in shown):
            shown.remove(max(shown, key=lambda index: (self.columns[index].optional, index)))
        return shown

    def _plain_lines(self, shown: Sequence[int]) -> list[str]:
        widths = self._widths()
        rows = [[column.heading for column in self.columns], *self.rows]

        def cell(row: Sequence[str], index: int) -> str:
            return f"{row[index]:<{widths[index]}}" if self.columns[index].left else f"{row[index]:>{widths[index]}}"

        return [(" " * _GAP).join(cell(row, index) for index in shown).rstrip() for row in rows]

    def _rich_text(self, shown: Sequence[int], width: int, console: "Console | None") -> str:
        from rich.table import Table as RichTable
        from rich.text import Text

        table = RichTable(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
        for index in shown:
            column = self.columns[index]
            table.add_column(
                column.heading,
                justify="left" if column.left or column.folds else "right",
                no_wrap=not column.folds,
                overflow="fold",
            )
        for row in self.rows:
            table.add_row(*(Text(row[index], style=self._style(row[index])) for index in shown))
        buffer = io.StringIO()
        plain = console is None or not console.is_terminal or console.no_color
        output = _console(buffer, width, color=not plain)
        output.print(table)
        return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines())

    def _style(self, text: str) -> str:
        return next((style for word, style in self.styles.items() if text.startswith(word)), "")


def format_table(table: TextTable, stream: TextIO | None = None) -> str:
    """`table` for `stream` (standard output): as wide as the terminal and coloured, or plain where it is none."""
    stream = stream or sys.stdout
    width = terminal_width(stream)
    if width is None:
        return str(table)
    from rich.console import Console

    return table.fitted(width, Console(file=stream))


def terminal_width(stream: TextIO | None = None) -> int | None:
    """The width of the terminal that `stream` (standard output) is; None where it is none."""
    stream = stream or sys.stdout
    try:
        is_terminal = stream.isatty()
    except ValueError:  # closed
        return None
    return shutil.get_terminal_size((80, 24)).columns if is_terminal else None


def _console(buffer: io.StringIO, width: int, *, color: bool) -> Any:
    from rich.console import Console

    return Console(
        file=buffer, width=width, force_terminal=color, color_system="standard" if color else None, highlight=False
    )


def printable(text: str) -> str:
    """`text` without control characters: XML does not allow them, and terminals obey them."""
    return text if text.isprintable() else "".join(char if char.isprintable() else "?" for char in text)
