"""Checks of a PostgreSQL server and of the fleet's place in it."""

from collections.abc import Iterator

from fleetq_server.cli.diagnosis.check import (
    Check,
    Facts,
    check_schema,
    ok,
    problem,
    size,
    warning,
)

KEEP = "stop all pods, keep a dump of the database, and report this"
LONG_TRANSACTION_SECONDS = 60.0
FEW_CONNECTIONS_LEFT = 0.8  # of those the server allows are taken


def check_server(facts: Facts, newest_schema: int) -> Iterator[Check]:
    """What an examiner's health() says of a server; `newest_schema` is the one written here."""
    yield ok(
        "server", f"PostgreSQL {facts['server_version']}, {size(int(facts['database_bytes']))}"
    )
    yield _durability(facts)
    yield _connections(facts)
    yield _transactions(float(facts["oldest_transaction_seconds"]))
    have, serves = int(facts["schema_version"]), bool(facts["schema_serves"])
    yield check_schema(have, newest_schema, serves=serves)


def _durability(facts: Facts) -> Check:
    off = [name for name in ("fsync", "full_page_writes") if facts[name] == "off"]
    if off:
        finding = f"{' and '.join(off)} off: a crash of the machine may take acknowledged steps"
        return problem("durability", finding, "set it to on in postgresql.conf, and reload")
    return ok("durability", "fsync is on, and pods commit with synchronous_commit=on")


def _connections(facts: Facts) -> Check:
    taken, most = int(facts["connections"]), int(facts["max_connections"])
    how = ", through a pooler: pods look for work, as nobody can wake them" * bool(facts["pooled"])
    finding = f"{taken} of {most} to this database{how}"
    if taken > FEW_CONNECTIONS_LEFT * most:
        advice = "raise max_connections, or put a pooler in between; a pod needs three"
        return warning("connections", finding, advice)
    return ok("connections", finding)


def _transactions(oldest: float) -> Check:
    if oldest <= LONG_TRANSACTION_SECONDS:
        return ok("transactions", "none is open for long")
    finding = f"one is open for {oldest:,.0f} s: nothing that died since is cleaned up"
    advice = "find and end it, or claims get slower: SELECT * FROM pg_stat_activity"
    return warning("transactions", finding, advice)
