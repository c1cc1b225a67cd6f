# SPDX-License-Identifier: GPL-3.0-or-later
"""Porthole as the benchmark runs it; the programs that it is compared with are in peers.py."""

import time

from measure import Cost, MemoryWatch, wait_for
from network import LabError

RUN_SECONDS = 300  # a transfer that takes longer is not measured but broken


class Porthole:
    """porthole-cli at both ends; the receiver waits, what is timed is the sender's start to its exit, which
    comes after the receiver has synced and checked the file."""

    name = 'porthole'

    def __init__(self, lab):
        self.lab = lab
        self.folder = lab.right.inbox

    def set_up(self):
        self.lab.set_up()

    def tear_down(self):
        pass

    def move(self, source):
        cost = Cost()
        with MemoryWatch() as memory:
            receiver = self.lab.right.receive()
            receiver.wait_event('status', 20, lambda event: event['status'] == 'online')
            memory.add('right', receiver.process.pid)
            start = time.monotonic()
            sender = self.lab.left.cli('send', self.lab.left.contact, source)
            memory.add('left', sender.process.pid)
            status, cost.cpu_seconds = wait_for(sender.process, RUN_SECONDS)
            cost.seconds = time.monotonic() - start
            sender.wait_exit(10)
            if status != 0:
                raise LabError(f'porthole-cli send ended with status {status}')
            cost.cpu_seconds += wait_for(receiver.process, 10)[1]
        memory.tell(cost)
        receiver.wait_exit(10)
        cost.first_byte_ms = sender.last_event('delivered')['first_byte_ms']
        written = next((event for event in receiver.events
                        if event['event'] == 'received' or event['event'] == 'progress' and event['bytes'] > 0), None)
        # Progress is told five times a second: only a small file's first is its first byte.
        if written and source.is_file() and source.stat().st_size < 10_000:
            cost.start_to_first_byte_ms = (written['at'] - start) * 1000
        return cost
