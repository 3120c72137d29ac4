"""The little of HTTP that a scrape or a probe needs: GET, one answer per connection."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import NamedTuple

from fleetq_server.errors import ConfigError
from fleetq_server.telemetry import get_logger

HEAD_BYTES = 8192
REQUEST_SECONDS = 5.0  # for whoever connects and says nothing
MOST_CONNECTIONS = 32

log = get_logger()


class Request(NamedTuple):
    method: str
    path: str
    headers: Mapping[str, str]  # by name in lower case


class Response(NamedTuple):
    status: HTTPStatus
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    headers: tuple[str, ...] = ()


def said(status: HTTPStatus, words: str, *headers: str) -> Response:
    return Response(status, f"{words}\n".encode(), headers=headers)


class HttpServer:
    """Answers every request by `answer`, on the event loop."""

    def __init__(
        self,
        answer: Callable[[Request], Awaitable[Response]],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._answer = answer
        self._tls = tls
        self._open: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def start(self, address: str) -> str:
        """→ the address served. Raises: ConfigError naming it."""
        host, _, port = address.rpartition(":")
        try:
            self._server = await asyncio.start_server(
                self._serve, host.strip("[]"), int(port), ssl=self._tls, limit=HEAD_BYTES
            )
        except OSError:
            raise ConfigError(f"metrics={address}: in use, or no address of this host") from None
        return f"{host}:{self._server.sockets[0].getsockname()[1]}"

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer in list(self._open):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            if len(self._open) <= MOST_CONNECTIONS:
                await self._converse(reader, writer)
        except (OSError, TimeoutError):
            pass  # gone, or silent
        finally:
            self._open.discard(writer)
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(REQUEST_SECONDS):
            request = await _read(reader)
        response = await self._respond(request)
        body = response.body if request is None or request.method != "HEAD" else b""
        writer.write(_head(response) + body)
        async with asyncio.timeout(REQUEST_SECONDS):
            await writer.drain()

    async def _respond(self, request: Request | None) -> Response:
        if request is None:
            return said(HTTPStatus.BAD_REQUEST, "this is no HTTP/1 request")
        if request.method not in ("GET", "HEAD"):
            return said(HTTPStatus.METHOD_NOT_ALLOWED, "only GET and HEAD", "Allow: GET, HEAD")
        try:
            return await self._answer(request)
        except Exception:  # nothing of it is for strangers
            log.exception("cannot answer", path=request.path)
            return said(HTTPStatus.INTERNAL_SERVER_ERROR, "internal error")


async def _read(reader: asyncio.StreamReader) -> Request | None:
    """None: what came is no request."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        return None
    pairs = (line.partition(":") for line in lines)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    return Request(words[0], words[1].partition("?")[0], headers)


def _head(response: Response) -> bytes:
    lines = (
        f"HTTP/1.1 {response.status.value} {response.status.phrase}",
        f"Content-Type: {response.content_type}",
        f"Content-Length: {len(response.body)}",
        "Connection: close",
        *response.headers,
    )
    return "\r\n".join((*lines, "", "")).encode("latin-1")
