"""Ready models for `linearizability`. All are partitioned by the value's `key`, if there is one.

    write  {key, value}                       read      {key} → {value}
    cas    {key, expected, value} → {swapped: bool}
    enqueue {key, value}                      dequeue   {key} → {value}, None: it was empty
    add    {key, value}                       contains  {key, value} → {present: bool}

Values must be hashable as JSON gives them: strings, numbers, booleans, None.
"""

from collections.abc import Hashable
from typing import Any

from pytest_fleetq.verdict.records import Operation, Outcome


class _Keyed:
    def partition(self, operation: Operation) -> Hashable:
        key: Hashable = operation.value.get("key")
        return key


def _unknown(operation: Operation) -> bool:
    return operation.outcome is not Outcome.OK


class Register(_Keyed):
    """One value, None before the first write; with `cas`, compare and swap."""

    def init(self) -> Hashable:
        return None

    def step(self, state: Hashable, operation: Operation) -> tuple[bool, Hashable]:
        if operation.name == "write":
            return True, operation.value["value"]
        if operation.name == "cas":
            return self._swap(state, operation)
        return _unknown(operation) or operation.answer["value"] == state, state

    def _swap(self, state: Hashable, operation: Operation) -> tuple[bool, Hashable]:
        swapped = state == operation.value["expected"]
        after = operation.value["value"] if swapped else state
        return _unknown(operation) or operation.answer["swapped"] is swapped, after


class FifoQueue(_Keyed):
    """First in, first out."""

    def init(self) -> tuple[Any, ...]:
        return ()

    def step(self, state: tuple[Any, ...], operation: Operation) -> tuple[bool, tuple[Any, ...]]:
        if operation.name == "enqueue":
            return True, (*state, operation.value["value"])
        if _unknown(operation):
            return True, state[1:]
        value = operation.answer["value"]
        if not state:
            return value is None, state
        return value == state[0], state[1:]


class GrowingSet(_Keyed):
    """Elements are added, never removed."""

    def init(self) -> frozenset[Hashable]:
        return frozenset()

    def step(
        self, state: frozenset[Hashable], operation: Operation
    ) -> tuple[bool, frozenset[Hashable]]:
        value = operation.value["value"]
        if operation.name == "add":
            return True, state | {value}
        present = value in state
        return _unknown(operation) or operation.answer["present"] is present, state
