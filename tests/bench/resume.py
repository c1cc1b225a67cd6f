# SPDX-License-Identifier: GPL-3.0-or-later
"""What continuing costs: a transfer of a large file is cut at nine tenths, and both programs start again.

The file is sparse at both ends: what the receiver has written is made a hole again, behind it, as it holds
nothing but zeros. So 10 GiB fit into little memory, and what is measured is what Porthole does about the nine
tenths, not how fast this machine's disk reads them."""

import ctypes
import os
import time

from measure import Cost, ends_within, wait_for
from network import LabError

CUT_AT = 0.9
RUN_SECONDS = 300
STILL_SECONDS = 0.3
HOLE_AFTER = 256 << 20  # bytes that stay behind the end: what may still be on its way to the disk
FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE = 1, 2

libc = ctypes.CDLL(None, use_errno=True)


def punch(path, start, end):
    fd = os.open(path, os.O_RDWR)
    try:
        if libc.fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, ctypes.c_long(start), ctypes.c_long(end - start)):
            raise LabError(f'no holes in files here: {os.strerror(ctypes.get_errno())}')
    finally:
        os.close(fd)


def partial_file(inbox):
    return next((path for folder in inbox.glob('.porthole-*.part') for path in folder.iterdir()), None)


def sent_bytes(lab):
    """Of the left host's line so far, everything included."""
    with lab.network.inside(lab.network.left), open('/proc/thread-self/net/dev', encoding='ascii') as file:
        return sum(int(line.split(':')[1].split()[8]) for line in file if ':' in line and 'lo:' not in line)


class Growth:
    """Takes what has arrived out of memory as it comes, until the file is as large as wanted."""

    def __init__(self, inbox, size):
        self.inbox = inbox
        self.size = size
        self.punched = 0

    def until(self, wanted, process):
        """False if the process has ended before."""
        deadline = time.monotonic() + RUN_SECONDS
        while (have := self.look()) < wanted and not ends_within(process, 0):
            if time.monotonic() > deadline:
                raise LabError(f'stuck at {have} bytes')
            time.sleep(0.01)
        return have >= wanted

    def until_still(self):
        """What is there when nothing comes any more."""
        have, since = self.look(), time.monotonic()
        while time.monotonic() < since + STILL_SECONDS:
            time.sleep(0.01)
            if (here := self.look()) != have:
                have, since = here, time.monotonic()
        return have

    def look(self):
        path = partial_file(self.inbox)
        have = path.stat().st_size if path else 0
        if have - self.punched > 2 * HOLE_AFTER:
            punch(path, self.punched, have - HOLE_AFTER)
            self.punched = have - HOLE_AFTER
        return have


def first_mib(lab, before, start, process):
    """Milliseconds from `start` until a MiB has left, which is more than it takes to meet."""
    deadline = start + RUN_SECONDS
    while sent_bytes(lab) - before < 1 << 20:
        if ends_within(process, 0) or time.monotonic() > deadline:
            raise LabError('it did not go on')
        time.sleep(0.005)
    return (time.monotonic() - start) * 1000


def resume_once(lab, source, kill):
    """`kill`: who ends by SIGKILL, "sender", "receiver" or "both". (Cost of going on, bytes that were sent beyond
    those that were missing: twice, or headers.)"""
    size = source.stat().st_size
    growth = Growth(lab.right.inbox, size)
    cost = Cost()
    receiver = lab.right.receive()
    sender = lab.left.cli('send', lab.left.contact, source)
    if not growth.until(CUT_AT * size, sender.process):
        raise LabError('the transfer was over before it could be cut')
    transfer = sender.last_event('progress')['transfer']
    if kill in ('sender', 'both'):
        sender.kill()
    if kill in ('receiver', 'both'):
        receiver.kill()
        receiver = None
    have = growth.until_still()
    before = sent_bytes(lab)
    start = time.monotonic()
    receiver = receiver or lab.right.receive()
    if kill != 'receiver':
        sender = lab.left.cli('resume', transfer)
    cost.start_to_first_byte_ms = first_mib(lab, before, start, sender.process)
    growth.until(size, sender.process)
    status, cost.sender_cpu_seconds = wait_for(sender.process, RUN_SECONDS)
    cost.seconds = time.monotonic() - start
    if status != 0:
        raise LabError(f'porthole-cli ended with status {status}')
    cost.receiver_cpu_seconds = wait_for(receiver.process, RUN_SECONDS)[1]
    arrived = lab.right.inbox / source.name
    if arrived.stat().st_size != size:
        raise LabError('not whole')
    arrived.unlink()
    return cost, sent_bytes(lab) - before - (size - have)
