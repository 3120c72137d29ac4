"""Is there an order of these operations, each at one moment between its call and its return, that a
single-threaded model would have answered in the same way?

The search of Wing and Gong (1993) with Lowe's cache ("Testing for linearizability", 2017): call and
return entries in a linked list; the first operation whose call the model accepts is lifted out
tentatively and put back when a return is met that nothing explains. A configuration (which
operations were taken, and the model's state) that was tried before is never tried again.

The problem is NP-hard. What keeps it small is the partition by key (Horn and Kroening, 2015) and
few concurrent operations per key; what keeps it bounded are the caps, after which the verdict is
UNKNOWN.
"""

import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from pytest_fleetq.verdict.history import History
from pytest_fleetq.verdict.model import Context, Finding, Verdict
from pytest_fleetq.verdict.records import Operation, Outcome
from pytest_fleetq.verdict.resting import collector_at_rest

State = TypeVar("State", bound=Hashable)

_CLOCK_EVERY = 4096  # steps between two looks at the clock


class Model(Protocol[State]):
    """What a correct system would do, one operation after the other. States are immutable."""

    def init(self) -> State:
        """The state of one partition before its first operation."""
        ...

    def step(self, state: State, operation: Operation) -> tuple[bool, State]:
        """Whether `operation` could be answered like this in `state`, and the state after it.

        An operation of unknown outcome has no answer: whatever it may have done is right.
        """
        ...

    def partition(self, operation: Operation) -> Hashable:
        """Operations with different keys do not influence each other."""
        ...


@dataclass(frozen=True, slots=True)
class Limits:
    steps: int = 3_000_000  # of the model, over all partitions
    seconds: float = 30.0
    cached: int = 1_000_000  # configurations remembered, per partition: about 300 bytes each


@dataclass(frozen=True, slots=True)
class Answer:
    """The verdict, and for one that is not PASS how far the longest order got: `explained`
    operations, `last` the last of them, and then the return of `unexplained`."""

    verdict: Verdict
    key: Hashable = None
    explained: int = 0
    last: Operation | None = None
    unexplained: Operation | None = None
    steps: int = 0
    reason: str = ""


def check(
    operations: Iterable[Operation], model: Model[State], limits: Limits = Limits()
) -> Answer:
    """The verdict over all partitions: the first that is not linearizable, else the first that
    could not be decided, else PASS."""
    budget = _Budget(limits)
    undecided: Answer | None = None
    for key, part in _partitions(operations, model).items():
        budget.reason = ""
        with collector_at_rest():
            answer = _Search(part, model, budget).answer(key)
        if answer.verdict is Verdict.FAIL:
            return answer
        if answer.verdict is Verdict.UNKNOWN:
            undecided = undecided or answer
    return undecided or Answer(Verdict.PASS, steps=budget.steps)


def _partitions(
    operations: Iterable[Operation], model: Model[State]
) -> Mapping[Hashable, Sequence[Operation]]:
    parts: dict[Hashable, list[Operation]] = {}
    for one in operations:
        if one.outcome is not Outcome.FAIL:  # it never happened
            parts.setdefault(model.partition(one), []).append(one)
    return parts


class _Budget:
    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.steps = 0
        self.reason = ""
        self._deadline = time.monotonic() + limits.seconds

    def spent(self, cached: int) -> bool:
        """Counts one step more."""
        self.steps += 1
        if self.steps > self.limits.steps:
            self.reason = f"{self.limits.steps} steps"
        elif cached > self.limits.cached:
            self.reason = f"{self.limits.cached} configurations"
        elif self.steps % _CLOCK_EVERY == 0 and time.monotonic() > self._deadline:
            self.reason = f"{self.limits.seconds:g} s"
        return bool(self.reason)


class _Entries:
    """Calls and returns in the order of their lines, as a doubly linked list.

    Entry 0 is the head. An operation without a return has none in the list: it may be taken at
    any time after its call, or never.
    """

    def __init__(self, operations: Sequence[Operation]) -> None:
        moments = [(one.called, index, True) for index, one in enumerate(operations)]
        moments += [
            (one.returned, index, False)
            for index, one in enumerate(operations)
            if one.returned is not None
        ]
        moments.sort()
        size = len(moments) + 2
        self.operation = [0] * size  # index of the entry's operation
        self.is_call = [False] * size
        self.next = list(range(1, size + 1))
        self.previous = list(range(-1, size - 1))
        self._return_of = [0] * len(operations)
        for entry, (_, index, is_call) in enumerate(moments, 1):
            self.operation[entry] = index
            self.is_call[entry] = is_call
            if not is_call:
                self._return_of[index] = entry

    def lift(self, call: int) -> None:
        self._unlink(call)
        if back := self._return_of[self.operation[call]]:
            self._unlink(back)

    def unlift(self, call: int) -> None:
        # In the reverse order: the return's neighbour may be the call.
        if back := self._return_of[self.operation[call]]:
            self._relink(back)
        self._relink(call)

    def _unlink(self, entry: int) -> None:
        before, after = self.previous[entry], self.next[entry]
        self.next[before], self.previous[after] = after, before

    def _relink(self, entry: int) -> None:
        self.next[self.previous[entry]] = self.previous[self.next[entry]] = entry


# Which operations were taken: the first `low` of those that returned, more of them as bits from
# there on, and bits for those that did not return. Equal sets have equal values, and a long
# history does not make them long.
_Taken = tuple[int, int, int]


class _Search(Generic[State]):
    def __init__(
        self, operations: Sequence[Operation], model: Model[State], budget: _Budget
    ) -> None:
        in_order = sorted(operations, key=lambda one: (one.returned is None, one.called))
        self._operations = in_order
        self._returning = sum(one.returned is not None for one in operations)
        self._waiting = self._returning
        self._model = model
        self._budget = budget
        self._entries = _Entries(in_order)
        self._lifted: list[tuple[int, _Taken, State]] = []  # with what was before each
        self._explained = -1
        self._last: Operation | None = None
        self._unexplained: Operation | None = None

    def answer(self, key: Hashable) -> Answer:
        verdict, budget = self._run(), self._budget
        if verdict is Verdict.PASS:
            return Answer(verdict, key, len(self._lifted), steps=budget.steps)
        return Answer(
            verdict,
            key,
            max(0, self._explained),
            self._last,
            self._unexplained,
            budget.steps,
            budget.reason,
        )

    def _run(self) -> Verdict:
        entries, model, operations = self._entries, self._model, self._operations
        state, taken = model.init(), (0, 0, 0)
        seen: set[tuple[_Taken, State]] = set()
        entry = entries.next[0]
        while self._waiting:
            if entries.is_call[entry]:
                if self._budget.spent(len(seen)):
                    return Verdict.UNKNOWN
                index = entries.operation[entry]
                fits, after = model.step(state, operations[index])
                tried = (self._with(taken, index), after)
                if fits and tried not in seen:
                    seen.add(tried)
                    self._lift(entry, taken, state)
                    taken, state = tried
                    entry = 0
            else:
                self._remember(entry)
                if not self._lifted:
                    return Verdict.FAIL
                entry, taken, state = self._unlift()
            entry = entries.next[entry]
        return Verdict.PASS

    def _with(self, taken: _Taken, index: int) -> _Taken:
        low, window, open_ones = taken
        if index >= self._returning:
            return low, window, open_ones | 1 << (index - self._returning)
        window |= 1 << (index - low)
        run = (~window & (window + 1)).bit_length() - 1  # how many of its lowest bits are set
        return low + run, window >> run, open_ones

    def _lift(self, entry: int, taken: _Taken, state: State) -> None:
        self._entries.lift(entry)
        self._lifted.append((entry, taken, state))
        self._waiting -= self._entries.operation[entry] < self._returning

    def _unlift(self) -> tuple[int, _Taken, State]:
        entry, taken, state = self._lifted.pop()
        self._entries.unlift(entry)
        self._waiting += self._entries.operation[entry] < self._returning
        return entry, taken, state

    def _remember(self, entry: int) -> None:
        """How far the search got, and the return that nothing explained."""
        if len(self._lifted) > self._explained:
            self._explained = len(self._lifted)
            self._unexplained = self._operations[self._entries.operation[entry]]
            if self._lifted:
                self._last = self._operations[self._entries.operation[self._lifted[-1][0]]]


class Linearizability(Generic[State]):
    """A checker of the operations of these names against a model."""

    needs_journal = False

    def __init__(
        self,
        model: Model[State],
        *operations: str,
        name: str = "linearizability",
        limits: Limits = Limits(),
        describe: Callable[[Operation], str] | None = None,
    ) -> None:
        self.name = name
        self._model = model
        self._operations = operations
        self._limits = limits
        self._describe = describe or _described

    def check(self, history: History, _context: Context) -> Iterator[Finding]:
        answer = check(history.operations(*self._operations), self._model, self._limits)
        lines = tuple(one.called for one in (answer.last, answer.unexplained) if one is not None)
        if answer.verdict is Verdict.FAIL:
            yield Finding(f"no order of operations explains {self._what(answer)}", None, lines)
        elif answer.verdict is Verdict.UNKNOWN:
            problem = f"not decided within {answer.reason}, so far stuck at {self._what(answer)}"
            yield Finding(problem, None, lines, Verdict.UNKNOWN)

    def _what(self, answer: Answer) -> str:
        told = (
            "the operations" if answer.unexplained is None else self._describe(answer.unexplained)
        )
        last = "" if answer.last is None else f", after {self._describe(answer.last)}"
        key = "" if answer.key is None else f" (key {answer.key!r})"
        return f"{told}{last}{key}"


def _described(one: Operation) -> str:
    more = {key: value for key, value in one.answer.items() if key not in one.value}
    answer = f" → {more}" if more else ""
    return f"{one.name} {dict(one.value)}{answer} by {one.process}"
