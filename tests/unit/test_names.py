"""The limits of what clients may send."""

import math
import string
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetq_server.core import names
from fleetq_server.errors import InvalidArgument

Check = Callable[[str, str], None]

LOWER = string.ascii_lowercase + string.digits
RULES: dict[str, tuple[Check, str, str, int, int]] = {
    "queue": (names.check_queue, LOWER, LOWER + "_.-", 1, 63),
    "kind": (names.check_kind, "", string.ascii_letters + string.digits + "_.:/-", 1, 128),
    "holder": (names.check_holder, "", string.ascii_letters + string.digits + "-", 8, 64),
    "request": (names.check_request, "", "".join(map(chr, range(33, 127))), 1, 64),
}


def is_allowed(text: str, first: str, rest: str, least: int, most: int) -> bool:
    return (
        least <= len(text) <= most
        and all(character in rest for character in text)
        and (not first or text[:1] in first)
    )


@pytest.mark.parametrize("rule", RULES)
@given(text=st.text(max_size=140) | st.text(st.sampled_from(string.printable), max_size=140))
def test_names_are_of_their_letters_and_length(rule: str, text: str) -> None:
    check, first, rest, least, most = RULES[rule]
    if is_allowed(text, first, rest, least, most):
        check(text, "name")
    else:
        with pytest.raises(InvalidArgument) as refusal:
            check(text, "name")
        assert refusal.value.field == "name"
        assert len(str(refusal.value)) < 400


@pytest.mark.parametrize("rule", RULES)
def test_the_longest_and_shortest_names_are_taken(rule: str) -> None:
    check, _, _, least, most = RULES[rule]
    for length in (least, most):
        check("a" * length, "name")
    for length in (least - 1, most + 1):
        with pytest.raises(InvalidArgument):
            check("a" * length, "name")


@pytest.mark.parametrize("rule", RULES)
def test_a_line_end_is_no_part_of_a_name(rule: str) -> None:
    with pytest.raises(InvalidArgument):
        RULES[rule][0]("a" * 10 + "\n", "name")


def test_a_request_id_may_be_left_out() -> None:
    names.check_request(None, "request_id")


@given(value=st.floats())
def test_seconds_are_finite_and_within_their_limits(value: float) -> None:
    if math.isfinite(value) and 0.5 <= value <= 10:
        names.check_seconds(value, "timeout", 0.5, 10)
    else:
        with pytest.raises(InvalidArgument):
            names.check_seconds(value, "timeout", 0.5, 10)
