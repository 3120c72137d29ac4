"""`python service.py PORT [name=amount …]`: answers lines, as well as it is told to.

delay     seconds before each answer
refuse    every so many-th line is answered by hanging up
leak      MiB kept with each line
files     opened with each line, and kept open
threads   started with each line, and kept
burn      seconds of processor time for each line
"""

import asyncio
import os
import sys
import threading
import time
from contextlib import suppress
from itertools import count

numbers = count(1)
kept: list[object] = []


async def serve(
    settings: dict[str, float], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    with suppress(ConnectionError):
        while line := await reader.readline():
            await asyncio.sleep(settings.get("delay", 0))
            if settings.get("refuse") and next(numbers) % settings["refuse"] == 0:
                break
            waste(settings)
            writer.write(line)
            await writer.drain()
    writer.close()


def waste(settings: dict[str, float]) -> None:
    if leak := settings.get("leak"):
        kept.append(b"x" * int(leak * 2**20))
    kept.extend(os.open(os.devnull, os.O_RDONLY) for _ in range(int(settings.get("files", 0))))
    for _ in range(int(settings.get("threads", 0))):
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    until = time.process_time() + settings.get("burn", 0)
    while time.process_time() < until:
        pass


async def main(port: int, settings: dict[str, float]) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await serve(settings, reader, writer)

    server = await asyncio.start_server(answer, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    told = (word.split("=") for word in sys.argv[2:])
    asyncio.run(main(int(sys.argv[1]), {name: float(amount) for name, amount in told}))
