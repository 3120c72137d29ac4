"""Procrastinate. Its worker takes one job a query, and ends them over a pool of connections."""

from collections.abc import Awaitable, Callable

from procrastinate import App, PsycopgConnector

CONCURRENCY = 100
CONNECTIONS = 20
ROWS_AT_ONCE = 1000


def app_over(url: str) -> App:
    app = App(connector=PsycopgConnector(conninfo=url, max_size=CONNECTIONS))

    @app.task(name="noop")
    async def noop(payload: str) -> None:
        pass

    return app


async def fill(url: str, payloads: list[str]) -> None:
    app = app_over(url)
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        for first in range(0, len(payloads), ROWS_AT_ONCE):
            rows = [{"payload": each} for each in payloads[first : first + ROWS_AT_ONCE]]
            await app.tasks["noop"].batch_defer_async(*rows)


async def work(url: str, told_to_begin: Callable[[], Awaitable[None]]) -> None:
    app = app_over(url)
    async with app.open_async():
        await told_to_begin()
        await app.run_worker_async(concurrency=CONCURRENCY)
