"""What the load driver calls of a service that is not FLEET-Q's."""

import asyncio
import socket
import threading

from pytest_fleetq.perf.load.calls import Turn


async def ask(turn: Turn) -> None:
    host, port = turn.addresses[turn.number % len(turn.addresses)].split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(b"?\n")
        if not await reader.readline():
            raise ConnectionError("it hung up")
    finally:
        writer.close()


def ask_in_a_thread(turn: Turn) -> None:
    host, port = turn.addresses[0].split(":")
    with socket.create_connection((host, int(port)), turn.timeout) as connection:
        connection.sendall(turn.settings["word"].encode() + b"\n")
        assert connection.makefile().readline() == "hello\n"


def hang(_: Turn) -> None:
    threading.Event().wait()
