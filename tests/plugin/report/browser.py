"""A real browser, driven through a pipe: no port, no websocket, nothing to install beside it."""

import base64
import fcntl
import json
import os
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path
from select import select
from types import TracebackType
from typing import Any, Self

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
SECONDS = 60.0  # a machine under load starts a browser slowly

FLAGS = (
    "--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu",
    "--disable-dev-shm-usage", "--hide-scrollbars", "--no-first-run", "--disable-extensions",
    "--disable-background-networking", "--disable-component-update", "--force-color-profile=srgb",
)  # fmt: skip


def find() -> str | None:
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """One tab. What the page complains of, and whatever it asks a network for, is in `complaints`
    and `requests`."""

    def __init__(self, program: str, profile: Path) -> None:
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self._number = 0
        self._events: list[dict[str, Any]] = []
        self._rest = b""
        self._out, to_read = _high_pipe()
        to_write, self._in = _high_pipe()
        self._pid = os.posix_spawn(
            program, [program, *FLAGS, f"--user-data-dir={profile}", "about:blank"], os.environ,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, to_read, 3),  # where Chromium's pipe is
                (os.POSIX_SPAWN_DUP2, to_write, 4),
                *((os.POSIX_SPAWN_OPEN, end, os.devnull, os.O_RDWR, 0) for end in range(3)),
            ],
            setsid=True,
        )  # fmt: skip
        os.close(to_read)
        os.close(to_write)
        self._session: str | None = None
        self._attach()

    def _attach(self) -> None:
        deadline = time.monotonic() + SECONDS
        while not (pages := self._pages()):
            assert time.monotonic() < deadline, "the browser opened no tab"
        told = self.call("Target.attachToTarget", targetId=pages[0]["targetId"], flatten=True)
        self._session = told["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def _pages(self) -> list[dict[str, Any]]:
        targets = self.call("Target.getTargets")["targetInfos"]
        return [one for one in targets if one["type"] == "page"]

    # --- what tests do ---

    def forget(self) -> None:
        """What was seen so far is not the next page's."""
        self.call("Page.navigate", url="about:blank")
        self.complaints.clear()
        self.requests.clear()

    def open(self, url: str) -> None:
        self._events.clear()
        self.call("Page.navigate", url=url)
        self.await_event("Page.loadEventFired")
        self.settle()

    def settle(self) -> None:
        """Until what was asked for is drawn."""
        self.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def run(self, expression: str) -> Any:
        """The value of some JavaScript; of a promise, once it is fulfilled."""
        told = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    def text(self, selector: str) -> str:
        return str(self.run(f"document.querySelector({json.dumps(selector)}).innerText"))

    def key(self, key: str) -> None:
        for stage in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=stage, key=key, text="" if key[1:] else key)
        self.settle()

    def mouse(self, kind: str, x: float, y: float, **more: object) -> None:
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def click(self, x: float, y: float) -> None:
        for kind in ("mousePressed", "mouseReleased"):
            self.mouse(kind, x, y, button="left", clickCount=1)
        self.settle()

    def window(self, width: int, height: int, *, dark: bool = False, phone: bool = False) -> None:
        scale = 2 if phone else 1
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=scale, mobile=phone,
        )  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def screenshot(self, path: Path, *, whole: bool = False) -> bytes:
        told = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        image = base64.b64decode(told["data"])
        path.write_bytes(image)
        return image

    # --- the protocol ---

    def call(self, method: str, **params: object) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        number = self._number
        answer = self._next(lambda told: told.get("id") == number, method)
        assert "error" not in answer, (method, answer["error"])
        return dict(answer["result"])

    def await_event(self, method: str) -> dict[str, Any]:
        for index, told in enumerate(self._events):
            if told.get("method") == method:
                return self._events.pop(index)
        return self._next(lambda told: told.get("method") == method, method)

    def _next(self, wanted: Any, what: str) -> dict[str, Any]:
        deadline = time.monotonic() + SECONDS
        while True:
            told = self._read(deadline, what)
            self._note(told)
            if wanted(told):
                return told
            if "method" in told:
                self._events.append(told)

    def _read(self, deadline: float, what: str) -> dict[str, Any]:
        while b"\0" not in self._rest:
            left = max(0.0, deadline - time.monotonic())
            ready, _, _ = select([self._in], [], [], left)
            assert ready, f"the browser did not answer {what} within {SECONDS:g} s"
            data = os.read(self._in, 1 << 20)
            assert data, f"the browser ended during {what}"
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\0")
        return dict(json.loads(line))

    def _note(self, told: dict[str, Any]) -> None:
        params = told.get("params", {})
        match told.get("method"):
            case "Runtime.exceptionThrown":
                details = params["exceptionDetails"]
                self.complaints.append(str(details.get("exception", details)))
            case "Runtime.consoleAPICalled" if params["type"] in ("error", "warning", "assert"):
                self.complaints.append(str(params["args"]))
            case "Log.entryAdded" if params["entry"]["level"] in ("error", "warning"):
                self.complaints.append(params["entry"]["text"])
            case "Network.requestWillBeSent":
                self.requests.append(params["request"]["url"])

    # --- its end ---

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        for end in (self._in, self._out):
            os.close(end)


def _high_pipe() -> tuple[int, int]:
    """(to write, to read) on descriptors that are in nobody's way."""
    read, write = os.pipe()
    ends = []
    for end in (write, read):
        ends.append(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 20))
        os.close(end)
    return ends[0], ends[1]
