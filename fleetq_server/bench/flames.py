"""Stacks and the processor time spent in each, as a flame graph: one SVG file that needs nothing
else. Names come up when the mouse is over a box."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from zlib import crc32

WIDTH, ROW, MARGIN, TITLE = 1200, 17, 10, 40  # pixels
LETTER = 6.6  # wide, at FONT_SIZE
FONT_SIZE = 11
LEAST_WIDTH = 0.4  # narrower boxes are left out

Stack = tuple[str, ...]  # the thread's name, then functions, outermost first


def write_stacks(stacks: Mapping[Stack, int], path: Path) -> None:
    """Whole or not at all: the process may be killed meanwhile."""
    new = path.with_suffix(".new")
    new.write_text(json.dumps([[*stack, spent] for stack, spent in stacks.items()]))
    new.replace(path)


def read_stacks(path: Path) -> dict[Stack, int]:
    """Empty if the process never came to write any."""
    if not path.exists():
        return {}
    return {tuple(stack): spent for *stack, spent in json.loads(path.read_text())}


@dataclass
class Node:
    spent: int = 0  # milliseconds, in it and what it called
    called: dict[str, "Node"] = field(default_factory=dict)

    @property
    def depth(self) -> int:
        return 1 + max((node.depth for node in self.called.values()), default=0)


def tree_of(stacks: Mapping[Stack, int]) -> Node:
    root = Node()
    for stack, spent in stacks.items():
        node = root
        node.spent += spent
        for name in stack:
            node = node.called.setdefault(name, Node())
            node.spent += spent
    return root


def draw(stacks: Mapping[Stack, int], title: str) -> str:
    root = tree_of(stacks)
    height = TITLE + root.depth * ROW + MARGIN
    scale = (WIDTH - 2 * MARGIN) / max(1, root.spent)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'font-family="monospace" font-size="{FONT_SIZE}"><rect width="100%" height="100%" '
        f'fill="#fff"/><text x="{MARGIN}" y="24" font-size="14">{escape(title)}</text>'
    )
    return "\n".join([head, *_boxes("all", root, MARGIN, 0, root.spent, scale), "</svg>\n"])


def _boxes(name: str, node: Node, x: float, level: int, total: int, scale: float) -> Iterator[str]:
    width = node.spent * scale
    if width < LEAST_WIDTH:
        return
    y = TITLE + level * ROW
    told = f"{name}: {node.spent} ms, {100 * node.spent / max(1, total):.1f} %"
    shown = name[: max(0, int(width / LETTER) - 1)]
    yield (
        f'<g><title>{escape(told)}</title><rect x="{x:.1f}" y="{y}" width="{width:.1f}" '
        f'height="{ROW - 1}" fill="{_colour(name)}"/><text x="{x + 3:.1f}" y="{y + 12}">'
        f"{escape(shown)}</text></g>"
    )
    for inner, child in sorted(node.called.items()):
        yield from _boxes(inner, child, x, level + 1, total, scale)
        x += child.spent * scale


def _colour(name: str) -> str:
    """Always the same for a name."""
    mixed = crc32(name.encode())
    return f"hsl({mixed % 50},{70 + mixed // 50 % 20}%,{62 + mixed // 1000 % 12}%)"
