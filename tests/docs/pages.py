"""What the pages under docs/ show.

A block that begins with `# name` is a file. A block of `sh` is run, line by line, in the folder of
those files; `# exits 1` behind a line is its status. `text` after it is what it prints, in this
order, with … for anything.
"""

import re
import socket
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# ([\w./]+\.\w+)\n")
EXITS = re.compile(r"\s+# exits (\d+)$")
PORT = re.compile(r"\b(?:127\.0\.0\.1|0\.0\.0\.0):(\d{4,5})\b")


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
    return _blocks_in(text_of(page))


def with_free_ports(page: str) -> list[Block]:
    """With ports that are free on this machine, in place of those that the page shows."""
    text = text_of(page)
    shown = sorted(set(PORT.findall(text)))
    for port, mine in zip(shown, _free_ports(len(shown)), strict=True):
        text = text.replace(f":{port}", f":{mine}")
    return _blocks_in(text)


def _blocks_in(text: str) -> list[Block]:
    return [Block(*found) for found in BLOCK.findall(text)]


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def write_files(page: str, folder: Path) -> None:
    write_files_of(blocks(page), folder)


def write_files_of(shown: list[Block], folder: Path) -> None:
    for block in shown:
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
