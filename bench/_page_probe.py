"""What a browser is asked: when it painted, how long its frames took, what it holds and spent."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from playwright.async_api import CDPSession, Page

PROBE: Final = """
(() => {
  const frame = () => new Promise((done) => requestAnimationFrame(() => done()));
  const painted = async () => { await frame(); await frame(); };
  const probe = { frames: [], watching: false };
  // Performance.now counts from the navigation's start.
  probe.table = async (selector, least) => {
    while (document.querySelectorAll(selector).length < least) await frame();
    await painted();
    return performance.now();
  };
  // The moment of the wall clock at which a text was painted somewhere.
  probe.seen = async (selector, text, limit) => {
    const end = performance.now() + limit;
    while (!document.querySelector(selector)?.textContent?.includes(text)) {
      if (performance.now() > end) return null;
      await frame();
    }
    await painted();
    return performance.timeOrigin + performance.now();
  };
  probe.start = () => {
    probe.frames = [];
    probe.watching = true;
    let last = performance.now();
    const next = (now) => {
      probe.frames.push(now - last);
      last = now;
      if (probe.watching) requestAnimationFrame(next);
    };
    requestAnimationFrame((now) => { last = now; requestAnimationFrame(next); });
  };
  probe.stop = () => { probe.watching = false; return probe.frames; };
  window.__probe = probe;
})();
"""
"""Put into each page before its own scripts; looks once a frame and changes nothing."""

MIB: Final = 2**20
FRAME_MS: Final = 1000 / 60
"""A frame of a screen."""

LONG_MS: Final = 50.0
"""A frame from which people feel that it hangs. Source: the Long Tasks specification."""


@dataclass(frozen=True)
class Frames:
    """Frames of a while: milliseconds between them, and the main thread's CPU, in seconds."""

    gaps: Sequence[float]
    seconds: float
    work: float
    script: float

    @property
    def p95(self) -> float:
        return quantile(self.gaps, 0.95)

    @property
    def longest(self) -> float:
        return max(self.gaps)

    @property
    def lost(self) -> float:
        """Milliseconds of a minute by which long frames were late."""
        late = sum(gap - FRAME_MS for gap in self.gaps if gap > LONG_MS)
        return late * 60 / self.seconds

    @property
    def load(self) -> float:
        """CPU of the main thread, in per cent of a core."""
        return 100 * self.work / self.seconds


@dataclass
class Wire:
    """Bytes of answers' bodies as they came over the network, by path; heads left aside."""

    paths: dict[str, str]
    heads: dict[str, int]
    bytes: dict[str, int]

    @classmethod
    def of(cls, cdp: CDPSession) -> "Wire":
        """Listen from now on."""
        wire = cls({}, {}, {})
        cdp.on("Network.requestWillBeSent", wire._sent)
        cdp.on("Network.responseReceived", wire._begun)
        cdp.on("Network.loadingFinished", wire._finished)
        cdp.on("Network.dataReceived", wire._received)
        return wire

    def total(self, *, api: bool) -> int:
        """Give the bytes of the API's answers, or of everything else."""
        return sum(n for path, n in self.bytes.items() if path.startswith("/api/") is api)

    def _sent(self, event: dict[str, Any]) -> None:
        path = "/" + event["request"]["url"].split("/", 3)[3]
        self.paths[event["requestId"]] = path.split("?")[0]

    def _begun(self, event: dict[str, Any]) -> None:
        self.heads[event["requestId"]] = int(event["response"]["encodedDataLength"])

    def _finished(self, event: dict[str, Any]) -> None:
        path = self.paths.get(event["requestId"], "")
        size = int(event["encodedDataLength"]) - self.heads.get(event["requestId"], 0)
        self.bytes[path] = self.bytes.get(path, 0) + size

    def _received(self, event: dict[str, Any]) -> None:
        # A stream never finishes.
        path = self.paths.get(event["requestId"], "")
        if path == "/api/fabric/events":
            self.bytes[path] = self.bytes.get(path, 0) + int(event["dataLength"])


def quantile(values: Sequence[float], share: float) -> float:
    """Give the value that this share of all did not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


async def frames(page: Page, cdp: CDPSession, seconds: float) -> Frames:
    """Watch frames for a while."""
    before = await _spent(cdp)
    await page.evaluate("__probe.start()")
    await asyncio.sleep(seconds)
    gaps = await page.evaluate("__probe.stop()")
    after = await _spent(cdp)
    lasted = after["Timestamp"] - before["Timestamp"]
    work, script = (after[k] - before[k] for k in ("TaskDuration", "ScriptDuration"))
    return Frames(gaps, lasted, work, script)


async def heap(cdp: CDPSession) -> float:
    """Give what the page holds after its garbage is gone, in MiB."""
    for _ in range(2):
        await cdp.send("HeapProfiler.collectGarbage")
    told = await cdp.send("Runtime.getHeapUsage")
    return float(told["usedSize"]) / MIB


async def _spent(cdp: CDPSession) -> dict[str, float]:
    told = await cdp.send("Performance.getMetrics")
    return {one["name"]: one["value"] for one in told["metrics"]}
