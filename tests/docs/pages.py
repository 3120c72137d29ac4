"""What the pages under docs/ show.

A block that begins with `# name` is a file. A block of `sh` is run, line by line, in the folder of
those files; `# exits 1` behind a line is its status. `text` after it is what it prints, in this
order, with … for anything.
"""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# ([\w./]+\.\w+)\n")
EXITS = re.compile(r"\s+# exits (\d+)$")


@dataclass
class Block:
    language: str
    text: str

    @property
    def file(self) -> str:
        found = FILE.match(self.text)
        return found[1] if found else ""


def text_of(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


def blocks(page: str) -> list[Block]:
    return [Block(*found) for found in BLOCK.findall(text_of(page))]


def write_files(page: str, folder: Path) -> None:
    for block in blocks(page):
        if block.file:
            path = folder / block.file
            path.parent.mkdir(exist_ok=True)
            path.write_text(block.text, encoding="utf-8")


def status_of(line: str) -> tuple[str, int]:
    """A line without what it says of its status, and that status."""
    found = EXITS.search(line)
    return EXITS.sub("", line), int(found[1]) if found else 0


def patterns(text: str) -> list[str]:
    """For fnmatch, whatever else its lines have in them."""
    literal = re.sub(r"([\[\]*?])", r"[\1]", text)
    return [line.replace("…", "*") for line in literal.splitlines()]
