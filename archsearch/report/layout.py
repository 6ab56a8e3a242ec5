"""What all pages share: `layout.html` with the style, `macros.html` with tables, and how text becomes HTML."""

import re
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from archsearch import __version__

_DOTS = re.compile(r"\.(?=[^\W\d])")  # not those of numbers
_BREAKS = re.compile(rf"{_DOTS.pattern}|=")
_LONG_WORD = 24  # characters
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")  # not allowed in HTML


def render(template: str, **values: Any) -> str:
    """A self-contained page: `template`, a file beside this one, filled with `values`."""
    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=False)
    environment.filters["breakable"] = _breakable
    created = datetime.now().strftime("%Y-%m-%d %H:%M")
    text = environment.get_template(template).render(created=created, version=__version__, **values)
    text = text.replace(" +- ", " ± ").replace(" -&gt; ", " → ")
    return _CONTROL.sub("?", text)


def _breakable(name: str) -> Markup:
    """A variant's name, one box per setting, which may be broken after dots, and after `=` if it is long."""
    words = [re.sub(_BREAKS if len(word) > _LONG_WORD else _DOTS, r"\g<0><wbr>", str(escape(word)))
             for word in name.split(" ")]  # fmt: skip
    return Markup(" ".join(f"<span>{word}</span>" if word else "" for word in words))
