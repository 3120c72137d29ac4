"""One transaction in the making, as SQLite's, but over a wire: what nobody waits for is sent along
with the next question, and steps, counters and events go in one statement each."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fleetq_server.failpoints import hit
from fleetq_server.store.postgres.wire import Answer, Row, Wire
from fleetq_server.store.relational.queries import load_queries
from fleetq_server.store.relational.tx import Lanes, Rules, Tx

SQL: Mapping[str, str] = load_queries("fleetq_server.store.postgres", "postgres.sql")


def _silent(text: str) -> bool:
    """Whether a statement answers with no rows."""
    code = "\n".join(line for line in text.splitlines() if not line.startswith("--"))
    return not code.startswith(("SELECT", "WITH")) and "RETURNING" not in code


_SILENT = frozenset(name for name, text in SQL.items() if _silent(text))
# What may run while new steps still wait in here to be sent.
_BESIDE_NEW = frozenset(
    ["find_request", "insert_request", "find_key", "insert_key", "take_step_ids", "insert_lane"]
)
# Run rarely, and best planned for the values and tables of the moment.
_PLANNED_EACH_TIME = frozenset(
    ["find_dead", "prunable", "delete_keys", "prune_events", "prune_requests", "prune_holders"]
)


class PgTx(Tx):
    __slots__ = (
        "_bodies", "_clock", "_foreseen", "_news", "_now", "_shard", "_steps", "_wire",
    )  # fmt: skip

    def __init__(
        self,
        wire: Wire,
        lanes: Lanes,
        rules: Rules,
        shard: int,
        clock: Callable[[], float],
    ) -> None:
        """`clock` waits for the server's time, which was asked for; it is called once at most."""
        super().__init__(lanes, rules)
        self._clock = clock
        self._now: float | None = None
        self._wire = wire
        self._shard = shard
        self._steps: list[Sequence[Any]] = []
        self._bodies: list[Sequence[Any]] = []
        self._news: list[tuple[Any, ...]] = []  # events
        self._foreseen: dict[tuple[Any, ...], Answer] = {}

    @property
    def now(self) -> float:
        if self._now is None:
            self._now = self._clock()
        return self._now

    @now.setter
    def now(self, value: float) -> None:
        self._now = value

    @property
    def known_now(self) -> float | None:
        """None: not worth waiting for, let the statement take the server's."""
        return self._now

    def run(self, name: str, *values: Any) -> list[Row]:
        if name == "insert_event":
            self._news.append(values)
            return []
        sent = self._foreseen.pop((name, *values), None) if self._foreseen else None
        if sent is None:
            sent = self.send(name, *values)
        return [] if name in _SILENT else self.rows(sent)

    def foresee(self, name: str, *values: Any) -> None:
        self._foreseen[(name, *values)] = self.send(name, *values)

    def rows(self, answer: Answer) -> list[Row]:
        """Waits for an answer, and all others."""
        if answer.rows is None:
            self._wire.sync()
        assert answer.rows is not None
        return answer.rows

    def send(self, name: str, *values: Any) -> Answer:
        """Asks without waiting for the answer."""
        hit("store.between_statements")
        if self._steps and name not in _BESIDE_NEW:
            self.flush()
        if name in _PLANNED_EACH_TIME:
            self._wire.ask("plan_each_time")
        return self._wire.ask(name, values)

    def run_named(self, name: str, values: Mapping[str, Any]) -> list[Row]:
        return self.run(name, *values.values())

    def run_many(self, name: str, rows: Sequence[Sequence[Any]]) -> None:
        if name == "insert_step":
            self._steps.extend(rows)
        elif name == "insert_body":
            self._bodies.extend(rows)
        elif name == "insert_result":
            self.send(name, *map(list, zip(*rows, strict=True)))
        else:
            for row in rows:
                self.send(name, *row)

    def holder_id(self, key: int) -> str:
        known = self.lanes.holders.get(key)
        if known is None:
            known = self.lanes.holders[key] = str(self.run("holder_name", key)[0][1])
        return known

    def flush(self) -> None:
        """Sends the steps that were submitted so far."""
        steps, self._steps = self._steps, []
        bodies, self._bodies = self._bodies, []
        if not steps:
            return
        self.send("insert_step", *map(list, zip(*steps, strict=True)))
        self.send("insert_body", *map(list, zip(*bodies, strict=True)))

    def finish(self) -> None:
        self.flush()
        super().finish()
        if self._news:
            self.send("insert_events", *map(list, zip(*self._news, strict=True)))
            self._news = []

    def _write_counts(self) -> None:
        if not self._counts:
            return
        columns = zip(*self._counts.values(), strict=True)
        self.send("count", self._shard, list(self._counts), *map(list, columns))
        self._counts.clear()
