# SPDX-License-Identifier: GPL-3.0-or-later
"""How much memory a transfer takes beyond that of a program that is online and waits.

The file is sparse, and behind the receiver its copy is made holes again (resume.py), so that 8 GiB of it fit."""

import time

from measure import Cost, MemoryWatch, anonymous_bytes, ends_within, wait_for
from network import LabError
from resume import RUN_SECONDS, Growth

QUIET_SECONDS = 2


def idle_mib(person):
    """Private memory of a program that waits online."""
    waiting = person.receive()
    waiting.wait_event('status', 20, lambda event: event['status'] == 'online')
    time.sleep(QUIET_SECONDS)
    found = anonymous_bytes(waiting.process.pid) / (1 << 20)
    waiting.process.terminate()
    waiting.wait_exit(20)
    return found


def move_sparse(lab, source, only):
    """Cost of one transfer, over "udp" or "tcp" alone."""
    cost = Cost()
    size = source.stat().st_size
    with lab.network.only(only), MemoryWatch() as memory:
        receiver = lab.right.receive()
        receiver.wait_event('status', 20, lambda event: event['status'] == 'online')
        memory.add('right', receiver.process.pid)
        start = time.monotonic()
        sender = lab.left.cli('send', lab.left.contact, source)
        memory.add('left', sender.process.pid)
        Growth(lab.right.inbox, size).until(size, sender.process)
        status, cost.sender_cpu_seconds = wait_for(sender.process, RUN_SECONDS)
        cost.seconds = time.monotonic() - start
        if status != 0 or not ends_within(receiver.process, RUN_SECONDS):
            raise LabError(f'porthole-cli ended with status {status}')
        cost.receiver_cpu_seconds = wait_for(receiver.process, RUN_SECONDS)[1]
    memory.tell(cost)
    arrived = lab.right.inbox / source.name
    if arrived.stat().st_size != size:
        raise LabError('not whole')
    arrived.unlink()
    return cost
