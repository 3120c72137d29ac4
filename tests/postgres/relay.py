"""Relays between a pod and the server, which do to the bytes what networks and poolers do."""

import select
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

BACKEND_KEY = b"K\x00\x00\x00\x0c"  # announces the process number


class Relay(socketserver.ThreadingTCPServer):
    daemon_threads = True
    closed = False  # hangs up on whoever comes now

    def __init__(self, target: Path) -> None:
        self.target = str(target / ".s.PGSQL.5432")
        super().__init__(("127.0.0.1", 0), _Connection)

    def back(self, data: bytes) -> bytes:
        """What the pod hears of what the server said."""
        return data

    def forth(self, data: bytes) -> bool:
        """Whether the pod hears anything more after it said this."""
        return True


class Pooler(Relay):
    """Like PgBouncer, it makes up the process numbers it announces."""

    def back(self, data: bytes) -> bytes:
        at = data.find(BACKEND_KEY)
        return data if at < 0 else data[: at + 5] + b"\x7f\x00\x00\x01" + data[at + 9 :]


class CutAtCommit(Relay):
    """Once armed, the next COMMIT arrives, and its answer does not."""

    armed = False

    def forth(self, data: bytes) -> bool:
        cut = self.armed and b"commit" in data.lower()
        self.armed = self.armed and not cut
        return not cut


class _Connection(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        relay = self.server
        assert isinstance(relay, Relay)
        if relay.closed:
            return
        near: socket.socket = self.request
        with socket.socket(socket.AF_UNIX) as far:
            far.connect(relay.target)
            while True:
                for source in select.select([near, far], [], [])[0]:
                    data = source.recv(65536)
                    if not data:
                        return
                    if source is far:
                        near.sendall(relay.back(data))
                        continue
                    far.sendall(data)
                    if not relay.forth(data):
                        far.recv(1)  # it has taken effect
                        return


@contextmanager
def behind(kind: type[Relay], url: str) -> Iterator[tuple[Relay, str]]:
    """→ the relay, and the URL that leads through it."""
    parts = urlsplit(url)
    folder = parse_qs(parts.query).get("host")
    if folder is None:
        pytest.skip("the relay needs the socket of a server of its own")
    with kind(Path(folder[0])) as relay:
        thread = threading.Thread(target=relay.serve_forever)
        thread.start()
        try:
            yield relay, f"postgresql://fleetq@127.0.0.1:{relay.server_address[1]}{parts.path}"
        finally:
            relay.shutdown()
            thread.join()
