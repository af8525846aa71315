"""The watching client: its prober, an echo on every host, and the observations so far."""

import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.fault.lab.analysis import MS, Records, steady_holder
from tests.fault.lab.hosts import Lab, now_ns
from tests.waiting import wait_until_sync

_PROBER_MAC = "02:77:00:00:01:01"
_KEPT_S = 300.0


class Watch:
    """Watches `vips` from the host `client`; a context manager."""

    def __init__(self, lab: Lab, vips: tuple[str, ...], carriers: tuple[str, ...], client: str = "client") -> None:
        self.lab, self.vips, self.carriers, self.client = lab, vips, carriers, client
        self.records = Records()
        self._owners = {lab.mac(name): name for name in lab.names}
        self._path = lab.folder / "records"
        self._prober: subprocess.Popen[bytes] | None = None
        self._rest = ""
        # The kernel stamps packets with the wall clock, so a step of that clock would spoil all figures.
        self._clocks = time.time() - time.monotonic()

    def __enter__(self) -> "Watch":
        for name in self.carriers:
            self.look_at(name)
        self._path.write_text("")
        program = (sys.executable, "-m", "tests.fault.lab.prober", str(self._path), _PROBER_MAC, *self.vips)
        self._prober = self.lab.hosts[self.client].start(*program, log=self.lab.folder / "prober.log")
        self._file = self._path.open()
        wait_until_sync(lambda: bool(self.read().rounds), "the prober asks")
        return self

    def __exit__(self, *_: object) -> None:
        assert self._prober is not None
        client = self.lab.hosts[self.client]
        client.signal(signal.SIGTERM, client.pids("lab.prober"))
        self._prober.wait(10)
        for name in self.carriers:
            self.lab.hosts[name].kill("lab.echo", "lab.holding", "nft monitor")
        self._file.close()
        assert abs(time.time() - time.monotonic() - self._clocks) < 0.01, "the machine's clock was stepped: void"

    def look_at(self, name: str) -> None:
        """Start a host's echo, and the program that notes its addresses and fence. Call this again after the host has
        returned."""
        host, module = self.lab.hosts[name], (sys.executable, "-m")
        host.start(*module, "tests.fault.lab.echo", name, log=self.log_of(name, "echo"))
        noted = str(self.lab.folder / f"{name}-holding")
        host.start(*module, "tests.fault.lab.holding", noted, log=self.log_of(name, "holding"))

    def log_of(self, name: str, what: str) -> Path:
        """The log file of a host's program."""
        return self.lab.folder / f"{name}-{what}.log"

    def read(self) -> Records:
        """The observations up to now, without those older than some minutes."""
        if self._prober is not None and self._prober.poll() is not None:
            raise AssertionError(f"the prober ended: {(self.lab.folder / 'prober.log').read_text()}")
        text = self._rest + self._file.read()
        whole, _, self._rest = text.rpartition("\n")
        self.records.read(whole.splitlines(), self._owners)
        if self.records.rounds and self.records.rounds[-1] - self.records.rounds[0] > 2 * _KEPT_S * 1e9:
            self.records.forget(self.records.rounds[-1] - round(_KEPT_S * 1e9))
        return self.records

    def read_until(self, moment: int) -> Records:
        """Wait until the prober has written everything up to `moment`; return it."""
        wait_until_sync(lambda: self.read().rounds[-1] > moment + 20 * MS, "the prober has written", 10.0)
        return self.records

    def steady(self, for_s: float = 0.5) -> dict[str, str] | None:
        """The holder of each VIP, if each VIP has had one and the same holder, alone, for that long; else None."""
        self.read()
        end = self.records.rounds[-1]
        found = {}
        for vip in self.vips:
            holder = steady_holder(self.records, vip, end - round(for_s * 1e9), end)
            if holder is None:
                return None
            found[vip] = holder
        return found

    def settle(self, timeout_s: float = 60.0, for_s: float = 0.5) -> dict[str, str]:
        """Wait until each VIP has one steady holder. Raises AssertionError if that takes too long."""
        deadline = time.monotonic() + timeout_s
        while (found := self.steady(for_s)) is None:
            if time.monotonic() > deadline:
                raise AssertionError(
                    f"not every VIP had one holder for {for_s} s within {timeout_s:g} s: {self._lacking()}"
                )
            time.sleep(0.05)
        return found

    def _lacking(self) -> str:
        end = now_ns()
        part = self.records.between(end - 1000 * MS, end)
        return ", ".join(
            f"{vip} answered by {sorted({a.host for a in part.answers if a.vip == vip}) or 'none'},"
            f" served by {sorted({e.host for e in part.echoes if e.vip == vip}) or 'none'}"
            for vip in self.vips
        )
