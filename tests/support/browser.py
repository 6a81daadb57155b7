"""A headless Chromium, controlled by the DevTools protocol over two pipes: no port, no driver to install."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# The protocol uses descriptors 3 (to the browser) and 4 (from it). Root has no sandbox.
START = 'exec "$@" 3<&$REQUESTS 4>&$ANSWERS'
FLAGS = (
    *("--headless", "--remote-debugging-pipe", "--disable-gpu", "--hide-scrollbars", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"),
    *(["--no-sandbox"] if os.getuid() == 0 else []),
)


class Browser:
    """One tab of a headless Chromium.

    Attributes:
        problems: Messages of the console, and errors of the page.
        requests: The requested addresses.
    """

    def __init__(self, profile: Path) -> None:
        self.problems: list[str] = []
        self.requests: list[str] = []
        to_browser, self._requests = os.pipe()
        self._answers, from_browser = os.pipe()
        environment = os.environ | {"REQUESTS": str(to_browser), "ANSWERS": str(from_browser), "HOME": str(profile)}
        command = ["bash", "-c", START, "bash", str(CHROMIUM), *FLAGS, f"--user-data-dir={profile}", "about:blank"]
        passed = (to_browser, from_browser)
        self._process = subprocess.Popen(command, pass_fds=passed, env=environment, stderr=subprocess.DEVNULL)
        for descriptor in passed:
            os.close(descriptor)
        self._pending, self._number, self._session = b"", 0, ""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._process.terminate()
        self._process.wait(30)
        os.close(self._requests)
        os.close(self._answers)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Sends a command of the protocol; returns the browser's answer."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        message |= {"sessionId": self._session} if self._session else {}
        os.write(self._requests, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._number:
            self._note(answer)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return dict(answer["result"])

    def open(self, path: Path, width: int, height: int, scheme: str = "light", *, touch: bool = False) -> None:
        """Opens a file in a window of that size, with the color scheme "light" or "dark"."""
        self.resize(width, height, mobile=touch)
        self.call("Emulation.setTouchEmulationEnabled", enabled=touch)
        self.prefer(scheme)
        self.call("Page.navigate", url=path.as_uri())
        while self._next_event() != "Page.loadEventFired":
            pass
        self.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def resize(self, width: int, height: int, *, mobile: bool = False) -> None:
        """Changes the window's size."""
        size = {"width": width, "height": height, "deviceScaleFactor": 2 if mobile else 1, "mobile": mobile}
        self.call("Emulation.setDeviceMetricsOverride", **size)

    def prefer(self, scheme: str, media: str = "screen") -> None:
        """Sets the preferred color scheme, "light" or "dark", and the medium, "screen" or "print"."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", media=media, features=features)

    def evaluate(self, expression: str) -> Any:
        """Returns the value of a JavaScript expression in the page; waits for a promise."""
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(json.dumps(answer["exceptionDetails"]))
        return answer["result"].get("value")

    def mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        """Sends a mouse event: "Moved", "Pressed", "Released" or "Wheel"."""
        self.call("Input.dispatchMouseEvent", type=f"mouse{kind}", x=x, y=y, **more)

    def _next_event(self) -> str:
        event = self._next()
        self._note(event)
        return str(event.get("method"))

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._pending:
            part = os.read(self._answers, 1 << 16)
            if not part:
                raise RuntimeError(f"{CHROMIUM} has ended")
            self._pending += part
        message, _, self._pending = self._pending.partition(b"\0")
        return dict(json.loads(message))

    def _note(self, event: dict[str, Any]) -> None:
        parameters = event.get("params", {})
        if event.get("method") == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        elif event.get("method") in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"):
            self.problems.append(json.dumps(parameters))
