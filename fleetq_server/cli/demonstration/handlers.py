"""The handler the demonstration's pods run."""

import os

from fleetq_server.cli.demonstration.files import hash_file
from fleetq_server.core.context import Context
from fleetq_server.core.handlers import PermanentError, handler

KIND = "demo.sha256"


# A plain function, so a thread: nobody knows how large the files are, and while OpenSSL hashes
# it lets go of the interpreter. For small files alone, `async def` would be twice as fast.
@handler(KIND)
def sha256(context: Context) -> str:
    try:
        return hash_file(context.payload)
    except OSError as error:
        name = os.fsdecode(context.payload)
        raise PermanentError(f"{name}: {error.strerror or error}") from error
