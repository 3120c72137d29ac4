"""The search against histories made by hand, against brute force, and against its caps."""

import random
from collections.abc import Callable, Iterable, Sequence
from itertools import combinations, permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_fleetq.verdict import Operation, Outcome, Verdict, judge
from pytest_fleetq.verdict.linearizability import Limits, Linearizability, Model, check
from pytest_fleetq.verdict.models import FifoQueue, GrowingSet, Register
from tests.plugin.verdict.story import Story


def operation(
    called: int, returned: int | None, name: str, value: dict[str, Any], answer: dict[str, Any]
) -> Operation:
    outcome = Outcome.INFO if returned is None else Outcome.OK
    told = {} if returned is None else {**value, **answer}
    return Operation("p", name, value, told, outcome, called, returned, float(called), None)


def write(called: int, returned: int | None, value: object, **key: object) -> Operation:
    return operation(called, returned, "write", {"value": value, **key}, {})


def read(called: int, returned: int | None, value: object, **key: object) -> Operation:
    return operation(called, returned, "read", {**key}, {"value": value})


def cas(called: int, returned: int | None, old: object, new: object, swapped: bool) -> Operation:
    return operation(called, returned, "cas", {"expected": old, "value": new}, {"swapped": swapped})


def enqueue(called: int, returned: int | None, value: object) -> Operation:
    return operation(called, returned, "enqueue", {"value": value}, {})


def dequeue(called: int, returned: int | None, value: object) -> Operation:
    return operation(called, returned, "dequeue", {}, {"value": value})


def add(called: int, returned: int | None, value: object) -> Operation:
    return operation(called, returned, "add", {"value": value}, {})


def contains(called: int, returned: int | None, value: object, present: bool) -> Operation:
    return operation(called, returned, "contains", {"value": value}, {"present": present})


LINEARIZABLE: list[tuple[Model[Any], Sequence[Operation]]] = [
    (Register(), []),
    (Register(), [read(1, 2, None), write(3, 4, 1), read(5, 6, 1)]),
    (Register(), [write(1, 6, 1), read(2, 3, None), read(4, 5, 1)]),
    (Register(), [write(1, None, 1), read(2, 3, None), read(4, 5, 1)]),
    (Register(), [write(1, None, 1), read(2, 3, None), read(4, 5, None)]),
    (Register(), [write(1, 2, 1), cas(3, 8, 1, 2, True), cas(4, 7, 1, 3, False), read(9, 10, 2)]),
    (Register(), [write(1, 2, 1), cas(3, None, 1, 2, True), read(4, 5, 1), read(6, 7, 2)]),
    (Register(), [write(1, 2, 1, key="a"), write(3, 4, 2, key="b"), read(5, 6, 1, key="a")]),
    (FifoQueue(), [enqueue(1, 4, "a"), enqueue(2, 3, "b"), dequeue(5, 6, "b"), dequeue(7, 8, "a")]),
    (FifoQueue(), [enqueue(1, 2, "a"), dequeue(3, None, None), dequeue(4, 5, None)]),
    (GrowingSet(), [add(1, 4, "a"), contains(2, 3, "a", False), contains(5, 6, "a", True)]),
]
NOT_LINEARIZABLE: list[tuple[Model[Any], Sequence[Operation]]] = [
    (Register(), [read(1, 2, 7)]),
    (Register(), [write(1, 2, 1), write(3, 4, 2), read(5, 6, 1)]),
    (Register(), [write(1, 8, 1), read(2, 3, 1), read(4, 5, None)]),
    (Register(), [read(1, 2, 1), write(3, None, 1)]),
    (Register(), [write(1, 2, 1), cas(3, 6, 1, 2, True), cas(4, 5, 1, 3, True)]),
    (Register(), [write(1, 2, 1, key="a"), read(3, 4, 1, key="b")]),
    (FifoQueue(), [enqueue(1, 2, "a"), enqueue(3, 4, "b"), dequeue(5, 6, "b")]),
    (FifoQueue(), [enqueue(1, 2, "a"), dequeue(3, 4, "a"), dequeue(5, 6, "a")]),
    (FifoQueue(), [enqueue(1, 2, "a"), dequeue(3, 4, None)]),
    (GrowingSet(), [add(1, 2, "a"), contains(3, 4, "a", False)]),
]


@pytest.mark.parametrize(("model", "operations"), LINEARIZABLE)
def test_an_order_is_found(model: Model[Any], operations: Sequence[Operation]) -> None:
    assert check(operations, model).verdict is Verdict.PASS


@pytest.mark.parametrize(("model", "operations"), NOT_LINEARIZABLE)
def test_no_order_is_found(model: Model[Any], operations: Sequence[Operation]) -> None:
    assert check(operations, model).verdict is Verdict.FAIL


def test_an_operation_that_failed_never_happened() -> None:
    failed = write(1, 2, 1)._replace(outcome=Outcome.FAIL)
    assert check([failed, read(3, 4, None)], Register()).verdict is Verdict.PASS
    assert check([failed, read(3, 4, 1)], Register()).verdict is Verdict.FAIL


# --- against brute force ---


def by_brute_force(operations: Sequence[Operation], model: Model[Any]) -> bool:
    done = [one for one in operations if one.returned is not None]
    maybe = [one for one in operations if one.returned is None]
    choices = [chosen for n in range(len(maybe) + 1) for chosen in combinations(maybe, n)]
    return any(
        _in_time(order) and _explained(order, model)
        for chosen in choices
        for order in permutations([*done, *chosen])
    )


def _in_time(order: Sequence[Operation]) -> bool:
    return not any(
        later.returned is not None and later.returned < earlier.called
        for earlier, later in combinations(order, 2)
    )


def _explained(order: Iterable[Operation], model: Model[Any]) -> bool:
    state = model.init()
    for one in order:
        fits, state = model.step(state, one)
        if not fits:
            return False
    return True


SMALL = st.integers(0, 2)
REGISTER_CALLS = st.one_of(
    st.tuples(st.just("write"), SMALL),
    st.tuples(st.just("read"), st.none() | SMALL),
    st.tuples(st.just("cas"), SMALL, SMALL, st.booleans()),
)
QUEUE_CALLS = st.one_of(
    st.tuples(st.just("enqueue"), SMALL), st.tuples(st.just("dequeue"), st.none() | SMALL)
)
MAKERS: dict[str, Callable[..., Operation]] = {
    "write": write,
    "read": read,
    "cas": cas,
    "enqueue": enqueue,
    "dequeue": dequeue,
}


@st.composite
def tiny(draw: st.DrawFn, calls: st.SearchStrategy[Any]) -> list[Operation]:
    """Up to six operations with any answers, their calls and returns shuffled into any order."""
    made = draw(st.lists(calls, max_size=6))
    order = draw(st.permutations([(index, end) for index in range(len(made)) for end in (0, 1)]))
    moments: list[list[int]] = [[] for _ in made]
    for line, (index, _) in enumerate(order, 1):
        moments[index].append(line)
    operations = []
    for (name, *arguments), (called, returned) in zip(made, moments, strict=True):
        unknown = draw(st.integers(0, 4)) == 0
        operations.append(MAKERS[name](called, None if unknown else returned, *arguments))
    return operations


@settings(max_examples=150)
@given(operations=tiny(REGISTER_CALLS))
def test_registers_as_brute_force_says(operations: list[Operation]) -> None:
    found = check(operations, Register()).verdict is Verdict.PASS
    assert found == by_brute_force(operations, Register())


@settings(max_examples=150)
@given(operations=tiny(QUEUE_CALLS))
def test_queues_as_brute_force_says(operations: list[Operation]) -> None:
    found = check(operations, FifoQueue()).verdict is Verdict.PASS
    assert found == by_brute_force(operations, FifoQueue())


# --- longer ones, correct by construction ---


def executed(seed: int, size: int, clients: int, lost: float = 0.0) -> list[Operation]:
    """What concurrent clients see of a register that works: every call takes effect at a moment
    within it, and some answers never arrive."""
    rng = random.Random(seed)
    state: object = None
    moments: list[tuple[float, int, str]] = []
    answers: dict[int, Operation] = {}
    free = [0.0] * clients
    effects = []
    for index in range(size):
        client = rng.randrange(clients)
        called = free[client] + rng.random()
        effect = called + rng.random()
        free[client] = effect + rng.random()
        effects.append((effect, index))
        moments += [(called, index, "call"), (free[client], index, "return")]
    lines = {(index, what): line for line, (_, index, what) in enumerate(sorted(moments), 1)}
    for _, index in sorted(effects):
        called, returned = lines[index, "call"], lines[index, "return"]
        back = None if rng.random() < lost else returned
        match rng.randrange(3):
            case 0:
                state = index
                answers[index] = write(called, back, index)
            case 1:
                answers[index] = read(called, back, state)
            case _:
                guess = rng.choice([state, -1])
                answers[index] = cas(called, back, guess, index, guess == state)
                state = index if guess == state else state
    return list(answers.values())


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32), size=st.integers(1, 200), clients=st.integers(1, 5))
def test_what_really_ran_is_linearizable(seed: int, size: int, clients: int) -> None:
    assert check(executed(seed, size, clients), Register()).verdict is Verdict.PASS
    with_losses = check(executed(seed, min(size, 60), clients, lost=0.03), Register())
    assert with_losses.verdict is not Verdict.FAIL


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32), data=st.data())
def test_a_read_of_what_nobody_wrote_is_caught(seed: int, data: st.DataObject) -> None:
    operations = executed(seed, 60, 4)
    index = data.draw(st.integers(0, 59))
    wrong = operations[index]
    operations[index] = read(wrong.called, wrong.returned, "never written")
    answer = check(operations, Register())
    assert answer.verdict is Verdict.FAIL


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32))
def test_a_stale_read_is_caught(seed: int) -> None:
    before = executed(seed, 40, 3)
    end = max(one.returned or 0 for one in before)
    after = [
        write(end + 1, end + 2, "x"),
        write(end + 3, end + 4, "y"),
        read(end + 5, end + 6, "x"),
    ]
    answer = check([*before, *after], Register())
    assert (answer.verdict, answer.unexplained, answer.explained) == (Verdict.FAIL, after[-1], 42)


# --- caps ---


def hard(size: int) -> list[Operation]:
    """Very many concurrent writes, and a read that none of them explains."""
    writes = [write(n, 10_000 + n, n) for n in range(1, size)]
    return [*writes, read(20_000, 20_001, -1)]


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (Limits(steps=10_000), "10000 steps"),
        (Limits(seconds=0.0), "0 s"),
        (Limits(cached=1_000), "1000 configurations"),
    ],
)
def test_what_is_too_much_is_unknown(limits: Limits, reason: str) -> None:
    answer = check(hard(60), Register(), limits)
    assert (answer.verdict, answer.reason) == (Verdict.UNKNOWN, reason)
    assert answer.unexplained is not None


def test_a_key_that_is_too_hard_does_not_hide_a_wrong_one() -> None:
    wrong = read(30_000, 30_001, 1, key="other")
    answer = check([*hard(60), wrong], Register(), Limits(cached=1_000))
    assert (answer.verdict, answer.key, answer.unexplained) == (Verdict.FAIL, "other", wrong)


def test_long_histories_take_steps_in_proportion() -> None:
    short, long = (check(executed(7, n, 5), Register()).steps for n in (1_000, 4_000))
    assert long < 8 * short


# --- as a checker ---


def test_users_judge_their_own_service(story: Story) -> None:
    for value in (1, 2):
        story.operation("write", key="x", value=value)
    story.operation("read", key="x", value=1)
    judged = judge(story.told(), [Linearizability(Register(), "write", "read", "cas")])
    assert judged.verdict is Verdict.FAIL
    (finding,) = judged["linearizability"].findings
    assert finding.lines == (4, 6)
    assert "no order of operations explains read" in finding.problem
    assert "(key 'x')" in finding.problem


def test_what_is_undecided_is_unknown_to_the_checker(story: Story) -> None:
    numbers = [story.recorder.invoke(f"p{n}", "write", {"value": n}) for n in range(40)]
    for number in numbers:
        story.recorder.ok(number, "write", {})
    story.operation("read", value=-1)
    tight = Linearizability(Register(), limits=Limits(steps=5_000), name="registers")
    judged = judge(story.told(), [tight])
    assert judged["registers"].verdict is Verdict.UNKNOWN
    assert "not decided within 5000 steps" in judged.describe()
