"""Does what a peer's own file says. It runs in an environment that has the peer but not FLEET-Q.

python -m tests.perf.peers.peer MODULE fill URL JOBS    installs the peer there, with a backlog
python -m tests.perf.peers.peer MODULE work URL         a worker; it begins when told to
"""

import asyncio
import sys
from importlib import import_module

READY = "ready"
PAYLOAD = "x" * 64


async def told_to_begin() -> None:
    print(READY, flush=True)
    await asyncio.to_thread(sys.stdin.readline)


def main(module: str, what: str, url: str, jobs: str = "0") -> None:
    import uvloop  # here, since whoever starts this one has no peer, nor this

    peer = import_module(f"tests.perf.peers.{module}")
    if what == "fill":
        uvloop.run(peer.fill(url, [PAYLOAD] * int(jobs)))
    else:
        uvloop.run(peer.work(url, told_to_begin))


if __name__ == "__main__":
    main(*sys.argv[1:])
