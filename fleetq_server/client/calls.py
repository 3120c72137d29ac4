"""What all groups of calls share."""

import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

from fleetq_server.client.link import Link
from fleetq_server.client.scalars import to_step_id
from fleetq_server.model import StepId

Item = TypeVar("Item")

MOST_IDS = 1000  # of one request
AnyStepId = StepId | int | str


class Calls:
    """A group of calls over one link."""

    def __init__(self, link: Link) -> None:
        self._link = link


def new_request_id() -> str:
    return secrets.token_hex(16)


def wire_ids(step_ids: Iterable[AnyStepId]) -> list[str]:
    """The ids in their order, each once."""
    return list(dict.fromkeys(to_step_id(step_id) for step_id in step_ids))


def chunks(items: Sequence[Item], size: int = MOST_IDS) -> list[Sequence[Item]]:
    return [items[begin : begin + size] for begin in range(0, len(items), size)]


async def pages(
    fetch: Callable[[str, int], Awaitable[tuple[list[Item], str]]], limit: int | None
) -> AsyncGenerator[Item, None]:
    """All items of a listing, page by page as they are consumed."""
    token = ""
    left = limit
    while left is None or left > 0:
        items, token = await fetch(token, MOST_IDS if left is None else min(left, MOST_IDS))
        for item in items:
            yield item
        if not token:
            return
        left = None if left is None else left - len(items)
