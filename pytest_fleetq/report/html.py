"""The page: one file that needs no network, whatever it shows.

Styles and scripts lie in `page/` as files of their own and are put in here. What was logged or
answered may be anything, also markup: it travels as JSON in which no `<` is left, and the page's
policy lets the browser run the scripts put in here and no other.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from pytest_fleetq.report.bundle import PAGE, Bundle
from pytest_fleetq.report.files import write_whole
from pytest_fleetq.report.story import tell
from pytest_fleetq.report.summary import summarise
from pytest_fleetq.verdict.resting import collector_at_rest

SCRIPTS = (
    "words.js",
    "data.js",
    "span.js",
    "canvas.js",
    "lanes.js",
    "timeline.js",
    "steering.js",
    "overview.js",
    "details.js",
    "findings.js",
    "measures.js",
    "logs.js",
    "main.js",
)

_PARTS = files("pytest_fleetq.report") / "page"


def write_page(bundle: Bundle, target: Path | None = None) -> Path:
    """Writes the page of a bundle, into it unless told otherwise. → where it is

    Raises: NoBundle where a file of the bundle is damaged, OSError.
    """
    path = target or bundle.directory / PAGE
    write_whole(path, render(bundle))
    return path


def render(bundle: Bundle) -> str:
    style, script = _read("style.css"), _script()
    with collector_at_rest():  # a million numbers, and no cycle among them
        story = embedded(tell(bundle))
    told = {
        "title": escape(bundle.environment.test or bundle.directory.name),
        "policy": f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'",
        "style": style,
        "script": script,
        "summary": escape(json.dumps(summarise(bundle), indent=1)),
        "story": story,
    }
    return _filled(_read("page.html"), told)


def embedded(document: Mapping[str, Any]) -> str:
    """As JSON that may stand in a page: nothing in it ends its element or begins a comment."""
    text = json.dumps(document, separators=(",", ":"), default=str)
    return text.replace("<", "\\u003c")


def _filled(template: str, told: Mapping[str, str]) -> str:
    """Each {{name}} once; what is put in is not looked at again."""
    pieces = []
    for piece in template.split("{{"):
        name, found, rest = piece.partition("}}")
        pieces.append(told[name] + rest if found else piece)
    return "".join(pieces)


def _script() -> str:
    parts = "\n".join(_read(name) for name in SCRIPTS)
    return f'"use strict";\n(() => {{\n{parts}\n}})();\n'


def _read(name: str) -> str:
    return (_PARTS / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
