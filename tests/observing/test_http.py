"""The little HTTP server answers what is asked, and bears what is not."""

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus

import pytest

from fleetq_server.errors import ConfigError
from fleetq_server.observing.http import (
    HEAD_BYTES,
    MOST_CONNECTIONS,
    HttpServer,
    Request,
    Response,
    said,
)

BOUND = 60.0


async def answer(request: Request) -> Response:
    if request.path == "/broken":
        raise RuntimeError("a secret of the pod")
    return said(HTTPStatus.OK, f"{request.path} for {request.headers.get('host')}")


@pytest.fixture
async def address() -> AsyncIterator[str]:
    server = HttpServer(answer)
    yield await server.start("127.0.0.1:0")
    server.close()


async def connect(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, _, port = address.rpartition(":")
    return await asyncio.open_connection(host, int(port))


async def send(address: str, data: bytes) -> str:
    """All that is answered until the connection ends."""
    reader, writer = await connect(address)
    async with asyncio.timeout(BOUND):
        writer.write(data)
        found = await reader.read()
        writer.close()
    return found.decode()


async def test_a_request_is_answered_by_path_and_headers(address: str) -> None:
    found = await send(address, b"GET /metrics?x=1 HTTP/1.1\r\nHost: me\r\n\r\n")
    head, _, body = found.partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 200 OK\r\n")
    assert body == "/metrics for me\n"
    assert f"Content-Length: {len(body)}" in head


async def test_a_head_request_gets_the_head(address: str) -> None:
    found = await send(address, b"HEAD /x HTTP/1.0\r\n\r\n")
    assert "Content-Length: 12" in found
    assert found.endswith("\r\n\r\n")


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n\r\n",
        b"GET /\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"x" * HEAD_BYTES + b"\r\n\r\n",
    ],
)
async def test_what_is_no_request_is_told_so(address: str, data: bytes) -> None:
    assert (await send(address, data)).startswith("HTTP/1.1 400 ")


async def test_only_reading_is_possible(address: str) -> None:
    found = await send(address, b"POST /metrics HTTP/1.1\r\n\r\n")
    assert found.startswith("HTTP/1.1 405 ")
    assert "Allow: GET, HEAD" in found


async def test_a_bug_is_not_told_to_strangers(address: str) -> None:
    found = await send(address, b"GET /broken HTTP/1.1\r\n\r\n")
    assert found.startswith("HTTP/1.1 500 ")
    assert "secret" not in found


async def test_silent_connections_are_bounded(address: str) -> None:
    silent = [await connect(address) for _ in range(MOST_CONNECTIONS)]
    assert await send(address, b"") == ""
    for _, writer in silent:
        writer.close()
        await writer.wait_closed()
    async with asyncio.timeout(BOUND):
        while not await send(address, b"GET / HTTP/1.1\r\n\r\n"):
            pass  # until the server has seen them end


async def test_an_address_in_use_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match=f"metrics={address}: in use"):
        await HttpServer(answer).start(address)
