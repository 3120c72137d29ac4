"""PgQueuer, over the faster of its two drivers."""

from collections.abc import Awaitable, Callable

import asyncpg
from pgqueuer import AsyncpgDriver, Job, PgQueuer, Queries

KIND = "noop"
BATCH = 100


async def fill(url: str, payloads: list[str]) -> None:
    connection = await asyncpg.connect(url)
    queries = Queries(AsyncpgDriver(connection))
    await queries.install()
    jobs = len(payloads)
    await queries.enqueue([KIND] * jobs, [each.encode() for each in payloads], [0] * jobs)
    await connection.close()


async def work(url: str, told_to_begin: Callable[[], Awaitable[None]]) -> None:
    pgqueuer = PgQueuer(AsyncpgDriver(await asyncpg.connect(url)))

    @pgqueuer.entrypoint(KIND)
    async def noop(job: Job) -> None:
        pass

    await told_to_begin()
    await pgqueuer.run(batch_size=BATCH)
