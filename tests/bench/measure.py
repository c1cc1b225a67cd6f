# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run of some programs cost: time, CPU of everything that was started, peak private memory."""

import os
import select
import threading
import time
from dataclasses import dataclass

PAGE = os.sysconf('SC_PAGE_SIZE')
SAMPLE_SECONDS = 0.02


@dataclass
class Cost:
    seconds: float = 0.0
    sender_cpu_seconds: float = 0.0  # user and system
    receiver_cpu_seconds: float = 0.0
    sender_rss_mib: float = 0.0  # peak anonymous memory
    receiver_rss_mib: float = 0.0
    first_byte_ms: float | None = None  # from accepting, as the program says
    start_to_first_byte_ms: float | None = None  # from starting the sender to the receiver telling of a byte
    late_bytes_per_second: float | None = None  # when it has found its speed (lines.py)
    bytes: int | None = None  # what had arrived when a limit ended it; None: everything

    @property
    def cpu_seconds(self):
        return self.sender_cpu_seconds + self.receiver_cpu_seconds


def children():
    """{parent: [children]} of every process that can be seen."""
    found = {}
    for entry in os.listdir('/proc'):
        if entry.isdigit():
            try:
                with open(f'/proc/{entry}/stat', encoding='ascii', errors='replace') as file:
                    parent = int(file.read().rsplit(')', 1)[1].split()[1])
            except (OSError, IndexError, ValueError):
                continue
            found.setdefault(parent, []).append(int(entry))
    return found


def anonymous_bytes(pid):
    try:
        with open(f'/proc/{pid}/status', encoding='ascii', errors='replace') as file:
            for line in file:
                if line.startswith('RssAnon:'):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def cpu_seconds(pid):
    """User and system time so far of a process that still runs, and of its children."""
    with open(f'/proc/{pid}/stat', encoding='ascii', errors='replace') as file:
        fields = file.read().rsplit(')', 1)[1].split()
    own = sum(int(field) for field in fields[11:15]) / os.sysconf('SC_CLK_TCK')
    return own + sum(cpu_seconds(child) for child in children().get(pid, []))


class MemoryWatch:
    """Samples the private memory of process trees, one for each side, and keeps the peaks."""

    def __init__(self):
        self.roots = {}
        self.peaks = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def add(self, side, pid):
        self.roots.setdefault(side, []).append(pid)

    def tell(self, cost):
        cost.sender_rss_mib = self.peaks.get('left', 0) / (1 << 20)
        cost.receiver_rss_mib = self.peaks.get('right', 0) / (1 << 20)

    def _run(self):
        while not self._stop.wait(SAMPLE_SECONDS):
            tree = children()
            for side, roots in list(self.roots.items()):
                total, pending = 0, list(roots)
                while pending:
                    pid = pending.pop()
                    total += anonymous_bytes(pid)
                    pending += tree.get(pid, [])
                self.peaks[side] = max(self.peaks.get(side, 0), total)


def ends_within(process, seconds):
    """Whether a Popen ends by itself in this time. It is not waited for."""
    fd = os.pidfd_open(process.pid)
    try:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        return bool(poll.poll(seconds * 1000))
    finally:
        os.close(fd)


def wait_for(process, timeout):
    """Waits for a Popen and returns (exit status, CPU seconds of it and of the children it waited for)."""
    if not ends_within(process, timeout):
        process.kill()
        raise TimeoutError(f'{process.args[0]} still ran after {timeout:.0f} s')
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage.ru_utime + usage.ru_stime
