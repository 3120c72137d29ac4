"""Records of `fleetq submit`: what is understood, and how what is not is named."""

import base64
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetq_server.cli.records import (
    FIELDS,
    LONGEST_LINE,
    Defaults,
    Line,
    batches,
    parse_line,
    parse_time,
    read_lines,
    weight,
)
from fleetq_server.client.convert import to_new_step
from fleetq_server.errors import InvalidArgument
from fleetq_server.model import NewStep, RetryPolicy

DEFAULTS = Defaults(kind="k")

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
well_formed = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def parse(record: object, defaults: Defaults = DEFAULTS) -> NewStep:
    step = parse_line(Line(1, json.dumps(record).encode()), defaults)
    assert step is not None
    return step


class Dribble(io.BytesIO):
    """Gives no more than `most` bytes at a time, as a slow pipe does."""

    def __init__(self, data: bytes, most: int) -> None:
        super().__init__(data)
        self._most = most

    def read1(self, size: int | None = -1, /) -> bytes:
        return self.read(self._most)


def test_a_full_record_is_understood() -> None:
    step = parse(
        {
            "kind": "resize",
            "payload": {"n": 1, "ü": "\U0001f600"},
            "queue": "images",
            "metadata": {"from": "here"},
            "priority": -5,
            "run_at": "2030-01-01T00:00:00Z",
            "timeout": 2.5,
            "retry": {"max_attempts": 7, "jitter": 0, "non_retryable": ["KeyError"]},
            "idempotency_key": "a",
        }
    )
    assert step == NewStep(
        kind="resize",
        payload='{"n":1,"ü":"\U0001f600"}'.encode(),
        queue="images",
        metadata={"from": "here"},
        priority=-5,
        run_at=1893456000.0,
        timeout=2.5,
        retry=RetryPolicy(max_attempts=7, jitter=0.0, non_retryable=("KeyError",)),
        idempotency_key="a",
    )


def test_flags_fill_what_a_record_leaves_out() -> None:
    retry = RetryPolicy(max_attempts=9)
    defaults = Defaults("k", "q", 3, 12.5, 1.5, retry)
    assert parse({}, defaults) == NewStep("k", b"", "q", {}, 3, 12.5, 1.5, retry)
    assert parse({"retry": {"jitter": 0.5}}, defaults).retry == RetryPolicy(
        max_attempts=9, jitter=0.5
    )


@given(st.binary(max_size=50))
def test_any_bytes_can_be_a_payload(data: bytes) -> None:
    assert parse({"payload_base64": base64.b64encode(data).decode()}).payload == data


@given(json_values)
def test_a_payload_is_the_same_value_at_the_other_end(value: Any) -> None:
    assert json.loads(parse({"payload": value}).payload) == value


@pytest.mark.parametrize(
    ("record", "field"),
    [
        ({"knd": "x"}, "knd"),
        ({"kind": 5}, "kind"),
        ({"payload": 1, "payload_base64": ""}, "payload_base64"),
        ({"payload_base64": "###"}, "payload_base64"),
        ({"payload_base64": 5}, "payload_base64"),
        ({"payload": [float("inf")]}, "line"),
        ({"queue": ["a"]}, "queue"),
        ({"metadata": ["a"]}, "metadata"),
        ({"metadata": {"a": 1}}, "metadata[a]"),
        ({"priority": 1.5}, "priority"),
        ({"priority": True}, "priority"),
        ({"priority": 2**40}, "priority"),
        ({"run_at": "tomorrow"}, "run_at"),
        ({"run_at": True}, "run_at"),
        ({"run_at": 1e300}, "run_at"),
        ({"timeout": "5"}, "timeout"),
        ({"timeout": 10**400}, "timeout"),
        ({"retry": 3}, "retry"),
        ({"retry": {"max_atempts": 3}}, "retry.max_atempts"),
        ({"retry": {"max_attempts": -1}}, "retry.max_attempts"),
        ({"retry": {"jitter": "x"}}, "retry.jitter"),
        ({"retry": {"non_retryable": "x"}}, "retry.non_retryable"),
        ({"idempotency_key": 7}, "idempotency_key"),
        ({"queue": "\ud800"}, "queue"),
        ([], "line"),
        (5, "line"),
    ],
)
def test_what_is_wrong_is_named(record: object, field: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse(record)
    assert caught.value.field == field


def test_a_misspelled_field_is_guessed() -> None:
    with pytest.raises(InvalidArgument, match="did you mean payload"):
        parse({"paylod": 1})


def test_a_record_without_kind_says_what_to_do() -> None:
    with pytest.raises(InvalidArgument, match="--kind"):
        parse({}, Defaults())


def test_a_number_beyond_range_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="out of range"):
        parse_line(Line(2, b'{"payload": 1e999}'), DEFAULTS)


@pytest.mark.parametrize("text", [b"{", b"\xff{}", b'{"payload": NaN}', b"[" * 100_000, b"{} {}"])
def test_what_is_not_json_is_refused(text: bytes) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse_line(Line(2, text), DEFAULTS)
    assert caught.value.field == "line"


def test_blank_lines_and_a_byte_order_mark_are_skipped() -> None:
    assert parse_line(Line(1, b"\xef\xbb\xbf{}"), DEFAULTS) is not None
    assert parse_line(Line(1, b" \r"), DEFAULTS) is None


@given(st.dictionaries(st.sampled_from(FIELDS), json_values, max_size=6))
def test_any_json_object_is_a_step_the_wire_can_carry_or_a_named_fault(record: Any) -> None:
    try:
        step = parse(record)
    except InvalidArgument:
        return
    assert to_new_step(step).ByteSize() <= weight(step)


@given(st.binary(max_size=100))
def test_any_bytes_are_a_step_or_a_named_fault(text: bytes) -> None:
    try:
        step = parse_line(Line(1, text), DEFAULTS)
    except InvalidArgument:
        return
    assert step is None or step.kind


@given(
    st.lists(st.binary(max_size=20).map(lambda b: b.replace(b"\n", b"")), max_size=20),
    st.integers(1, 30),
)
def test_lines_are_the_same_however_they_arrive(texts: list[bytes], most: int) -> None:
    read = [line for group in read_lines(Dribble(b"\n".join(texts), most)) for line in group]
    expected = texts[:-1] if texts and not texts[-1] else texts
    assert [line.text for line in read] == expected
    assert [line.number for line in read] == list(range(1, len(expected) + 1))


def test_a_line_without_end_is_not_kept_in_memory() -> None:
    data = b"a" * (LONGEST_LINE + 10) + b"\n{}\n" + b"b" * (LONGEST_LINE + 10)
    lines = [line for group in read_lines(Dribble(data, 1 << 20)) for line in group]
    assert [(line.number, line.text) for line in lines] == [(1, None), (2, b"{}"), (3, None)]
    with pytest.raises(InvalidArgument, match="longer"):
        parse_line(lines[0], DEFAULTS)


@given(st.lists(st.integers(0, 2000), max_size=40), st.integers(1, 10), st.integers(1, 5000))
def test_batches_keep_order_and_limits(sizes: list[int], most_items: int, most_bytes: int) -> None:
    steps = [(n, NewStep("k", b"x" * size)) for n, size in enumerate(sizes)]
    groups = list(batches(steps, most_items, most_bytes))
    assert [item for group in groups for item in group] == steps
    for group in groups:
        assert len(group) <= most_items
        assert len(group) == 1 or sum(weight(step) for _, step in group) <= most_bytes


@given(well_formed, well_formed, well_formed, st.dictionaries(well_formed, well_formed, max_size=5))
def test_weight_is_never_less_than_the_size(
    kind: str, queue: str, key: str, metadata: dict[str, str]
) -> None:
    step = NewStep(kind, b"123", queue, metadata, 1000, 2e9, 5.0, RetryPolicy(9), key)
    assert to_new_step(step).ByteSize() <= weight(step)


def test_times_are_utc_unless_they_say_otherwise() -> None:
    assert parse_time("1970-01-01T00:01:00", "t") == 60.0
    assert parse_time("1970-01-01T01:01:00+01:00", "t") == 60.0
    assert parse_time(60, "t") == 60.0
