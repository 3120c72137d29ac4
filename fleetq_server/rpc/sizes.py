"""How much one answer may carry. A client takes 4 MiB unless told otherwise; what does not fit
is left for its next call rather than sent in vain."""

from collections.abc import Sequence

from google.protobuf.message import Message

MESSAGE_BYTES = 4 * 1024 * 1024
ANSWER_BYTES = 3 * 1024 * 1024  # what is left is for one more item and the framing


def fitting(answer: Message, items: Sequence[Message]) -> int:
    """How many of the first items of an answer fit; at least one, or a large one would never
    arrive."""
    if answer.ByteSize() <= ANSWER_BYTES:  # four times as fast as asking each item
        return len(items)
    room = ANSWER_BYTES
    for index, item in enumerate(items):
        room -= item.ByteSize()
        if room < 0 and index:
            return index
    return len(items)
