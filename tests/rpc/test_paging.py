"""Pages: every step once, in messages that fit, with tokens that belong to one filter."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fleetq_server.errors import InvalidArgument
from fleetq_server.model import DeadFilter, Step, StepFilter, StepId, StepState
from fleetq_server.pb.step_service_pb2 import ListStepsResponse
from fleetq_server.rpc import paging
from fleetq_server.rpc.sizes import MESSAGE_BYTES, fitting
from tests.rpc import values

ALL = StepFilter()
any_filter = values.step_filters | values.dead_filters


@given(any_filter, values.step_ids)
def test_a_token_leads_back_to_its_place(wanted: paging.Filter, last: StepId) -> None:
    assert paging.read_token(wanted, paging.make_token(wanted, last)) == last


def test_no_token_is_the_beginning() -> None:
    assert paging.read_token(ALL, "") is None


@given(any_filter, any_filter, values.step_ids)
def test_a_token_of_another_filter_is_refused(
    one: paging.Filter, other: paging.Filter, last: StepId
) -> None:
    assume((type(one), one) != (type(other), other))
    assert_refused(other, paging.make_token(one, last))


@given(values.step_ids, st.data())
def test_a_mangled_token_is_refused(last: StepId, data: st.DataObject) -> None:
    token = paging.make_token(ALL, last)
    at = data.draw(st.integers(0, len(token)))
    cut = data.draw(st.integers(at, len(token)))
    mangled = token[:at] + data.draw(st.text(max_size=3)) + token[cut:]
    assume(mangled not in ("", token))
    assert_refused(ALL, mangled)


@given(st.text(min_size=1, max_size=64))
def test_anything_else_is_no_token(token: str) -> None:
    assert_refused(ALL, token)


def assert_refused(wanted: paging.Filter, token: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        paging.read_token(wanted, token)
    assert caught.value.field == "page_token"


def test_every_pod_makes_the_same_token() -> None:
    states = [StepState.PENDING, StepState.FAILED, StepState.CLAIMED]
    tokens = {
        paging.make_token(StepFilter(states=frozenset(order)), StepId(7))
        for order in (states, states[::-1])
    }
    # Written down, because a new version must go on from an old one's page.
    assert tokens == {"AAAAAAAAAAeOU0ftKBg3mAfnb2ngc6cO"}


def test_a_filter_of_one_listing_is_not_that_of_the_other() -> None:
    assert_refused(DeadFilter(), paging.make_token(StepFilter(), StepId(1)))


@pytest.mark.parametrize(("asked", "given"), [(0, 50), (1, 1), (1000, 1000), (1001, 1000)])
def test_the_page_size_is_kept_within_its_limits(asked: int, given: int) -> None:
    assert paging.page_size(asked) == given


def test_a_negative_page_size_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="page_size"):
        paging.page_size(-1)


@pytest.mark.parametrize("stored", [0, 1, 63, 64, 65, 129, 200])
@pytest.mark.parametrize("size", [1, 7, 64, 100, 200, 1000])
async def test_pages_hold_every_step_once_and_end(stored: int, size: int) -> None:
    steps = [replace(values.A_STEP, step_id=StepId(n)) for n in range(stored, 0, -1)]
    pages = await all_pages(steps, size)
    assert [step_id for page in pages for step_id in page] == [step.step_id for step in steps]
    assert len(pages) == max(1, -(-stored // size))


async def test_a_page_of_large_steps_ends_before_it_is_too_large() -> None:
    payload = b"x" * 256 * 1024
    steps = [replace(values.A_STEP, step_id=StepId(n), payload=payload) for n in range(30, 0, -1)]
    pages = await all_pages(steps, 1000)
    assert [len(page) for page in pages] == [11, 11, 8]


async def all_pages(steps: Sequence[Step], size: int) -> list[list[int]]:
    token = ""
    pages: list[list[int]] = []
    while not pages or token:
        answer = ListStepsResponse()
        token = await paging.fill(answer.steps, fetching(steps), ALL, size, token)
        assert answer.ByteSize() < MESSAGE_BYTES
        pages.append([int(step.step_id) for step in answer.steps])
    return pages


def fetching(steps: Sequence[Step]) -> paging.Fetch:
    async def fetch(after: StepId | None, limit: int) -> list[Step]:
        return [step for step in steps if after is None or step.step_id < after][:limit]

    return fetch


@pytest.mark.parametrize(
    ("sizes", "fit"), [([], 0), ([10], 1), ([4_000_000], 1), ([2_000_000] * 3, 1), ([10] * 9, 9)]
)
def test_an_answer_takes_what_fits_and_at_least_one(sizes: list[int], fit: int) -> None:
    answer = ListStepsResponse()
    for size in sizes:
        answer.steps.add().payload = b"x" * size
    assert fitting(answer, answer.steps) == fit
