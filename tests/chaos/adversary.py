# SPDX-License-Identifier: GPL-3.0-or-later
"""The adversary: a plan of mishaps that follows from a seed alone, and its execution.

The wall clock cannot be set in a namespace. What is moved instead are the monotonic clocks that programs go by,
from one start to the next, as a reboot moves them: time namespaces allow that and no more."""

import time
from dataclasses import dataclass

BREAK_SECONDS = 1.2  # how long one thing stays broken at most


@dataclass
class Mishap:
    at: float  # seconds from the start of the sending
    lasts: float
    kind: str
    side: str  # '' where it is about neither
    amount: int

    def __str__(self):
        where = f' {self.side}' if self.side else ''
        return f'{self.at:.2f} s: {self.kind}{where} for {self.lasts:.2f} s ({self.amount})'


#        kind          weight  sides
KINDS = (('kill', 5, ('left', 'right')),
         ('suspend', 2, ('left', 'right')),
         ('cut', 3, ('left', 'right')),
         ('move', 2, ('left', 'right')),
         ('rendezvous', 2, ('',)),
         ('relay', 1, ('',)),
         ('fill', 2, ('right',)),
         ('hide', 2, ('right',)),
         ('jump', 1, ('left', 'right')))


def _moment(generator, seconds):
    """Anywhere; more often than chance would have it before the first byte, and about the last."""
    return generator.choice((generator.uniform(0, seconds), generator.uniform(0, seconds), generator.uniform(0, 0.5),
                             max(0, generator.gauss(seconds - 0.3, 0.2))))


def plan(generator, seconds):
    """Mishaps in the order they begin, all within `seconds`."""
    kinds = generator.choices([kind for kind, _, _ in KINDS], [weight for _, weight, _ in KINDS],
                              k=generator.randrange(1, 9))
    sides = {kind: allowed for kind, _, allowed in KINDS}
    mishaps = [Mishap(at=_moment(generator, seconds), lasts=generator.uniform(0.02, BREAK_SECONDS), kind=kind,
                      side=generator.choice(sides[kind]), amount=generator.randrange(0, 1_000_000))
               for kind in kinds]
    return sorted(mishaps, key=lambda mishap: mishap.at)


class Adversary:
    """Carries out a plan step by step, and mends what it broke when its time is over."""

    def __init__(self, world, sides, disk, mishaps):
        self.world = world
        self.sides = sides
        self.disk = disk
        self.began = time.monotonic()
        self.todo = list(mishaps)
        self.broken = []  # (when to mend, what)

    @property
    def done(self):
        return not self.todo and not self.broken

    def step(self):
        now = time.monotonic() - self.began
        for entry in [entry for entry in self.broken if entry[0] <= now]:
            self.broken.remove(entry)
            self._mend(entry[1])
        while self.todo and self.todo[0].at <= now:
            mishap = self.todo.pop(0)
            self._strike(mishap)
            self.broken.append((now + mishap.lasts, mishap))

    def mend_all(self):
        self.todo = []
        for _, mishap in self.broken:
            self._mend(mishap)
        self.broken = []

    def _strike(self, mishap):
        side = self.sides.get(mishap.side)
        for each in self.sides.values():
            each.note(f'mishap: {mishap}')
        if mishap.kind == 'kill':
            side.kill(mishap.lasts)
        elif mishap.kind == 'jump':
            # Forwards by up to three hours, as after a night; or back to a fresh boot's clock.
            side.jump = 0 if side.jump else mishap.amount % 10_000 + 1
            side.kill(mishap.lasts)
        elif mishap.kind == 'suspend':
            side.freeze(True)
        elif mishap.kind == 'cut':
            self.world.network.line(mishap.side, False)
        elif mishap.kind == 'move':
            self.world.network.move(mishap.side)
        elif mishap.kind == 'rendezvous':
            self.world.stop_rendezvous()
        elif mishap.kind == 'relay':
            self.world.stop_relay()
        elif mishap.kind == 'fill':
            self.disk.fill(mishap.amount % 500_000)
        elif mishap.kind == 'hide':
            self.disk.hide()

    def _mend(self, mishap):
        side = self.sides.get(mishap.side)
        if mishap.kind == 'suspend':
            side.freeze(False)
        elif mishap.kind == 'cut':
            self.world.network.line(mishap.side, True)
        elif mishap.kind == 'rendezvous':
            self.world.start_rendezvous()
        elif mishap.kind == 'relay':
            self.world.start_relay()
        elif mishap.kind == 'fill':
            self.disk.free()
        elif mishap.kind == 'hide':
            self.disk.bring_back()
