# SPDX-License-Identifier: GPL-3.0-or-later
"""Porthole as the benchmark runs it; the programs that it is compared with are in peers.py."""

import contextlib
import shutil
import time

from measure import Cost, MemoryWatch, ends_within, wait_for
from network import LabError

RUN_SECONDS = 300  # a transfer that takes longer is not measured but broken


class Porthole:
    """porthole-cli at both ends; the receiver waits, what is timed is the sender's start to its exit, which
    comes after the receiver has synced and checked the file."""

    def __init__(self, lab, name='porthole', only=None, relayed=False, preload=None):
        self.lab = lab
        self.name = name
        self.only = only  # "udp" or "tcp": what the network lets through
        self.relayed = relayed
        self.preload = preload  # a library that takes functions' places
        self.folder = lab.right.inbox
        self.limit = None  # seconds; what has arrived by then counts

    def set_up(self):
        if self.lab.right.contact is None:
            self.lab.set_up()

    def tear_down(self):
        pass

    def move(self, source):
        with self.lab.network.only(self.only) if self.only else contextlib.nullcontext():
            if self.limit:
                return self._move_within_limit(source)
            with self._preloaded():
                return self._move(source)

    @contextlib.contextmanager
    def _preloaded(self):
        people = (self.lab.left, self.lab.right)
        for person in people if self.preload else ():
            person.env['LD_PRELOAD'] = str(self.preload)
        try:
            yield
        finally:
            for person in people:
                person.env.pop('LD_PRELOAD', None)

    def _move_within_limit(self, source):
        """A transfer that was cut off would go on in the next round: the profiles are put back as they were."""
        people = (self.lab.left, self.lab.right)
        for person in people:
            shutil.copytree(person.profile, person.profile.with_suffix('.kept'))
        try:
            return self._move(source)
        finally:
            for person in people:
                shutil.rmtree(person.profile)
                person.profile.with_suffix('.kept').rename(person.profile)

    def _move(self, source):
        cost = Cost()
        with MemoryWatch() as memory:
            receiver = self.lab.right.receive()
            receiver.wait_event('status', 20, lambda event: event['status'] == 'online')
            memory.add('right', receiver.process.pid)
            start = time.monotonic()
            sender = self.lab.left.cli('send', self.lab.left.contact, source)
            memory.add('left', sender.process.pid)
            if self.limit and not ends_within(sender.process, self.limit):
                return self._cut_off(start, sender, receiver, cost, memory)
            status, cost.sender_cpu_seconds = wait_for(sender.process, RUN_SECONDS)
            cost.seconds = time.monotonic() - start
            self._check_path(sender)
            sender.wait_exit(10)
            if status != 0:
                raise LabError(f'porthole-cli send ended with status {status}')
            cost.receiver_cpu_seconds = wait_for(receiver.process, 10)[1]
        memory.tell(cost)
        receiver.wait_exit(10)
        cost.first_byte_ms = sender.last_event('delivered')['first_byte_ms']
        written = next((event for event in receiver.events
                        if event['event'] == 'received' or event['event'] == 'progress' and event['bytes'] > 0), None)
        # Progress is told five times a second: only a small file's first is its first byte.
        if written and source.is_file() and source.stat().st_size < 10_000:
            cost.start_to_first_byte_ms = (written['at'] - start) * 1000
        return cost

    def _check_path(self, sender):
        path = sender.last_event('path')
        wanted = {'udp': 'quic', 'tcp': 'tls'}.get(self.only, path['transport'])
        if path['transport'] != wanted or (path['path'] == 'relay') != self.relayed:
            raise LabError(f'{self.name}: it went over {path["path"]} {path["transport"]}')

    def _cut_off(self, start, sender, receiver, cost, memory):
        cost.seconds = time.monotonic() - start
        cost.bytes = receiver.last_event('progress')['bytes']
        self._check_path(sender)
        for program in (sender, receiver):
            program.process.kill()
        cost.sender_cpu_seconds = wait_for(sender.process, 10)[1]
        cost.receiver_cpu_seconds = wait_for(receiver.process, 10)[1]
        memory.tell(cost)
        return cost
