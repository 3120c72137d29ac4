"""The statements of a writer's transactions, straight through libpq.

Each is prepared under its own name when a connection first asks it, and what is asked goes out
together once an answer is waited for. The driver's cursors send every one by itself: a claim asks
a dozen, and half of its time went there. Together they end with a Sync, too, by which the server
knows whose turn it is: it ends the transaction of a pod that stands still, instead of taking
itself to be busy.
"""

import select
from collections import deque
from collections.abc import Mapping, Sequence
from struct import pack
from types import TracebackType
from typing import Any, Self

import psycopg
from psycopg.adapt import Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, ExecStatus, Format
from psycopg.pq.abc import PGresult

Conn = psycopg.Connection[tuple[Any, ...]]
Row = tuple[Any, ...]

_TEXT, _BINARY = int(Format.TEXT), int(Format.BINARY)
_TEXT_OID, _BYTEA_OID = 25, 17  # element types of arrays, which are sent in binary


class Answer:
    __slots__ = ("prepared", "rows")

    def __init__(self, prepared: str | None = None) -> None:
        self.rows: list[Row] | None = None  # until it came
        self.prepared = prepared  # what this was only the preparation of


class Wire:
    """Within `with`, statements are asked; at its end all are answered."""

    def __init__(self, conn: Conn, statements: Mapping[str, str], *, prepares: bool) -> None:
        self.conn = conn
        self._pg = conn.pgconn
        self._statements = {name: text.encode() for name, text in statements.items()}
        self.prepares = prepares
        self._prepared: set[str] = set()
        self._planned_for = 0
        self._forgotten = Answer()
        self._asked: deque[Answer] = deque()
        self._read = Transformer(conn)
        self._in, self._out = select.poll(), select.poll()
        self._in.register(conn.fileno(), select.POLLIN)
        self._out.register(conn.fileno(), select.POLLIN | select.POLLOUT)

    def __enter__(self) -> Self:
        self._pg.enter_pipeline_mode()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.sync()
        except psycopg.Error:
            if error is None:
                raise
        finally:
            if self._pg.status == ConnStatus.OK:
                self._pg.exit_pipeline_mode()

    def ask(self, name: str, values: Sequence[Any] = ()) -> Answer:
        """Sends nothing yet."""
        params, formats = zip(*map(_encoded, values), strict=True) if values else ((), ())
        text = self._statements[name]
        if self.prepares:
            key = name.encode()
            if name not in self._prepared:
                self._prepared.add(name)
                self._asked.append(Answer(name))
                self._pg.send_prepare(key, text)
            self._pg.send_query_prepared(key, params, formats, _BINARY)
        else:
            self._pg.send_query_params(text, params, None, formats, _BINARY)
        answer = Answer()
        self._asked.append(answer)
        return answer

    def plan_for(self, size: int) -> None:
        """Has statements planned anew once the table of steps has doubled: what is right for an
        empty one reads all of a full one. The server itself would notice within minutes."""
        if not self.prepares:
            return
        if self._forgotten.rows is None:  # it was passed over, after something that failed
            self._planned_for = 0
        self._planned_for = min(self._planned_for, 2 * size)  # it may shrink, too
        if size > 2 * self._planned_for:
            self._planned_for = size
            self._forgotten = self.ask("forget_plans")

    def sync(self) -> None:
        """Waits for all that was asked.

        Raises:
            psycopg.Error: that of the first statement that failed; those after it did nothing.
            psycopg.OperationalError: the connection is lost.
        """
        if not self._asked:
            return
        failed: psycopg.Error | None = None
        try:
            self._pg.pipeline_sync()
            self._send()
            while (result := self._next()).status != ExecStatus.PIPELINE_SYNC:
                answer = self._asked.popleft()
                if result.status == ExecStatus.TUPLES_OK:
                    self._read.set_pgresult(result)
                    answer.rows = self._read.load_rows(0, result.ntuples, tuple)
                elif result.status == ExecStatus.COMMAND_OK:
                    answer.rows = []
                else:
                    self._prepared.discard(answer.prepared or "")
                    if failed is None:
                        failed = error_from_result(result)
        finally:
            self._asked.clear()
        if failed is not None:
            if self._pg.status != ConnStatus.OK:
                raise psycopg.OperationalError(str(failed)) from failed
            raise failed

    def _send(self) -> None:
        while self._pg.flush():
            for _, events in self._out.poll():
                if events & ~select.POLLOUT:
                    self._pg.consume_input()

    def _next(self) -> PGresult:
        while True:
            while self._pg.is_busy():
                self._in.poll()
                self._pg.consume_input()
            result = self._pg.get_result()
            if result is not None:  # each statement's results end with none
                return result
            if self._pg.status != ConnStatus.OK:
                raise psycopg.OperationalError("the connection is lost")


def _encoded(value: Any) -> tuple[bytes | None, int]:
    """→ a value, and its format. No type goes with it: statements name theirs."""
    if isinstance(value, str):
        return value.encode(), _BINARY  # unlike a text, it may not end at a NUL unnoticed
    if isinstance(value, bytes):
        return value, _BINARY
    if isinstance(value, list):
        return _array(value)
    return None if value is None else str(value).encode(), _TEXT


def _array(items: list[Any]) -> tuple[bytes, int]:
    first = next((item for item in items if item is not None), None)
    if not isinstance(first, str | bytes):
        return f"{{{str(items)[1:-1].replace('None', 'NULL')}}}".encode(), _TEXT
    texts = isinstance(first, str)
    oid = _TEXT_OID if texts else _BYTEA_OID
    parts = [pack(">iiIii", 1, 1, oid, len(items), 1)]  # dimensions, may have NULLs, …, from 1
    for item in items:
        if item is None:
            parts.append(pack(">i", -1))
        else:
            data = item.encode() if texts else item
            parts += pack(">i", len(data)), data
    return b"".join(parts), _BINARY
