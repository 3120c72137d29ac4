"""New stores in one database, each in a schema of its own, filled by SQL alone."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any
from urllib.parse import quote

from fleetq_server.bench.handlers import NOOP
from fleetq_server.bench.seed import DAY, PAYLOAD, QUEUE, Mix
from fleetq_server.store import open_store
from fleetq_server.store.base import SetPaused

# The states are spread as if at random: every page of the table has some of each.
_FILL = """
WITH spread AS (
    SELECT i, (i * 2654435761) % 100 AS percent FROM generate_series(1, $1::bigint) AS i),
s AS (
    SELECT i, CASE WHEN percent < $2 THEN 3 WHEN percent < $3 THEN 0 ELSE 1 END AS state
    FROM spread),
n AS (SELECT extract(epoch FROM clock_timestamp())::float8 AS now)
INSERT INTO steps (
    id, lane, state, priority, attempt, ending, fence, created_at, run_at, claimed_at, finished_at)
SELECT i, $4, state, 0, (state = 3)::int,
       CASE WHEN state = 3 THEN 1 END, CASE WHEN state = 3 THEN i END, now,
       CASE WHEN state = 0 THEN now + $5 + i END,
       CASE WHEN state = 3 THEN now END, CASE WHEN state = 3 THEN now END
FROM s, n
"""
_BODIES = """
INSERT INTO bodies (step_id, payload) SELECT i, $2 FROM generate_series(1, $1::bigint) AS i
"""
_LANE = "INSERT INTO lanes (queue, kind) VALUES ($1, $2) RETURNING id"
_COUNTS = """
INSERT INTO counts (
    lane, shard, scheduled, pending, claimed, completed, failed, cancelled, submitted, pruned)
SELECT $1, 0, count(*) FILTER (WHERE state = 0), count(*) FILTER (WHERE state = 1), 0,
       count(*) FILTER (WHERE state = 3), 0, 0, count(*), 0 FROM steps
"""


@contextmanager
def new_store(
    database: str,
    steps: int = 0,
    *,
    mix: Mix = Mix(),  # noqa: B008 - immutable
    kind: str = NOOP,
    payload: bytes = PAYLOAD,
    paused: bool = False,
) -> Iterator[str]:
    """The URL of a new store of `steps` steps, which is gone afterwards."""
    schema = f"fleetq_bench_{secrets.token_hex(4)}"
    joint = "&" if "?" in database else "?"
    url = f"{database}{joint}options={quote(f'-c search_path={schema}')}"
    with _session(database) as session:
        session.execute(f"CREATE SCHEMA {schema}")
        try:
            store = open_store(url)
            if paused:
                store.apply([SetPaused(QUEUE, True)])
            store.close()
            with _session(url) as inside:
                _fill(inside, steps, mix, kind, payload)
            yield url
        finally:
            session.execute(f"DROP SCHEMA {schema} CASCADE")


def about(database: str) -> dict[str, object]:
    """What a figure depends on."""
    names = ("server_version", "fsync", "synchronous_commit", "shared_buffers")
    with _session(database) as session:
        return {name: session.execute(f"SHOW {name}").fetchone()[0] for name in names}


def _fill(session: Any, steps: int, mix: Mix, kind: str, payload: bytes) -> None:
    (lane,) = session.execute(_LANE, [QUEUE, kind]).fetchone()
    not_ready = mix.finished + mix.scheduled
    session.execute(_FILL, [steps, mix.finished, not_ready, lane, DAY])
    session.execute(_BODIES, [steps, payload])
    session.execute(_COUNTS, [lane])
    session.execute("SELECT setval('step_ids', $1)", [steps + 1])
    session.execute("VACUUM ANALYZE steps, bodies")


def _session(url: str) -> Any:
    return import_module("fleetq_server.store.postgres.connection").connect(url, name="bench")
