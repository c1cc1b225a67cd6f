# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a file that is dropped on a person takes until its first byte is on their computer.

Both are online all the time. The first file finds no session between the two, the second one that of the first. The
receiver takes offers without asking: how long a person thinks is not measured."""

import os
import subprocess
import time

from measure import Cost
from network import LabError
from peers import BUILT

ROUND_TRIP_MS = 50
LINE_SECONDS = 30
QUIET_SECONDS = 1  # both have told the servers and each other all there is to tell
LOOK_SECONDS = 0.001


def has_bytes(folder):
    """Whether a file in here, or in a folder of what is under way, has any."""
    try:
        with os.scandir(folder) as entries:
            return any(has_bytes(entry.path) if entry.is_dir() else entry.stat().st_size > 0 for entry in entries)
    except FileNotFoundError:
        return False


class Dropper:
    """The engine of the left person, online."""

    def __init__(self, lab):
        self.lab = lab
        person = lab.left
        self.process = lab.network.start(person.host, [BUILT / 'bench-drop', person.profile, person.contact],
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                         env={**os.environ, **person.env})

    def expect(self, wanted):
        if (line := self.process.stdout.readline().strip()) != wanted:
            raise LabError(f'the dropper said "{line}", not "{wanted}"')

    def drop(self, source, inbox):
        """Cost of one file, which is in memory at both ends."""
        self.process.stdin.write(f'{source}\n')
        self.process.stdin.flush()
        # While it is on its way: the first byte is there long before the answer of a line.
        deadline = time.monotonic() + LINE_SECONDS
        while not has_bytes(inbox):
            if time.monotonic() > deadline:
                raise LabError('what was dropped does not arrive')
            time.sleep(LOOK_SECONDS)
        written = time.monotonic()
        start = float(self.process.stdout.readline())
        self.expect('delivered')
        return Cost(seconds=time.monotonic() - start, start_to_first_byte_ms=(written - start) * 1000)

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(LINE_SECONDS)


def drop_twice(lab, source):
    """(Cost without a session, Cost with one)."""
    inbox = lab.right.inbox
    receiver = lab.right.receive(count=2)
    receiver.wait_event('status', 20, lambda event: event['status'] == 'online')
    dropper = Dropper(lab)
    costs = []
    try:
        dropper.expect('online')
        time.sleep(QUIET_SECONDS)
        for _ in range(2):
            costs.append(dropper.drop(source, inbox))
            (inbox / source.name).unlink()
        receiver.expect_exit(0, LINE_SECONDS)
    finally:
        dropper.close()
    return costs
