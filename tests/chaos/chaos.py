#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two real porthole-cli between real servers, and an adversary that follows from a seed: it kills either of them,
cuts lines, changes addresses, stops the servers, fills the disk, takes the folder away, suspends, moves clocks.

After each run every file is there once and whole, nothing partial is left, and both databases are sound and agree.

    chaos.py SEED...    replays these and tells what happened"""

import multiprocessing
import os
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path

sys.dont_write_bytecode = True
sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parent.parent / 'lab')]

from adversary import Adversary, plan  # noqa: E402
from network import LabError  # noqa: E402
from programs import memory_folder  # noqa: E402
from trees import compare  # noqa: E402
from world import DECLINED, DELIVERED, FINISHED, PAUSED, RATE_BYTES, Disk, Side, World, seeded, write_payload  # noqa: E402

RUNS, RUNS_LONG = 100, 1000
WORKERS = 9  # they mostly wait
KINDS = ('open', 'port-restricted', 'symmetric')
PATIENCE_SECONDS = 90  # from the last mishap to the end; what is reached is far below
PAYLOAD_MOST = 6_000_000
START_SECONDS = 0.5  # until the first byte
STEP_SECONDS = 0.03
POLL_SECONDS = 0.25
LOG_LINES = 60


def kind_of(seed):
    """Which network a seed plays in."""
    return KINDS[seed % len(KINDS)]


class Run:
    """One seed: payloads, a plan, two people, and what must be true afterwards."""

    def __init__(self, world, seed):
        self.world = world
        self.seed = seed
        generator = seeded(seed)
        self.folder = Path(tempfile.mkdtemp(prefix=f'chaos-{seed}-', dir=memory_folder()))
        sources = self.folder / 'sources'
        sources.mkdir()
        self.payloads = []
        for number in range(generator.choice((1, 1, 2, 3))):
            own = sources / str(number)
            own.mkdir()
            path = write_payload(generator, own, PAYLOAD_MOST)
            target = own / f'{number}-{path.name}'  # no two arrive under one name
            path.rename(target)
            self.payloads.append(target)
        size = sum(file.stat().st_size for file in sources.rglob('*') if file.is_file())
        self.mishaps = plan(generator, START_SECONDS + size / RATE_BYTES)
        self.may_decline = any(mishap.kind in ('fill', 'hide') for mishap in self.mishaps)
        self.right_transfers = {}
        self.left_done = False  # for a while
        self.disk = Disk(self.folder, (len(self.payloads) + 1) * PAYLOAD_MOST)
        self.left = Side(world, 'left', self.folder, self.folder)
        # Some people keep everything on one disk: then the database finds no room either.
        self.right = Side(world, 'right', self.folder,
                          self.disk.mount if generator.random() < 0.4 else self.folder)
        self.sides = {'left': self.left, 'right': self.right}
        self.adversary = None

    def close(self):
        for side in self.sides.values():
            side.kill(0)
            side.log.close()
        self.disk.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    # --- What people do ---------------------------------------------------------------------------

    def _tend_left(self):
        """Sends what was not sent yet, or could not be taken; follows what is not over."""
        if self.left.alive or time.monotonic() < self.left.may_start:
            return
        transfers = self.left.transfers()
        known = {name for state, name in transfers.values() if state != DECLINED}
        missing = [payload for payload in self.payloads if payload.name not in known]
        if missing:
            self.left.start('send', self.world.contact, missing[0], *(['--queue'] if len(missing) > 1 else []))
            return
        open_ones = [each for each, (state, _) in transfers.items() if state < FINISHED]
        if open_ones:
            self.left.start('resume', open_ones[0])

    def _tend_right(self):
        """Takes everything; goes on with what waits for room or for the folder, once that is back."""
        paused = [each for each, (state, _) in self.right_transfers.items() if state == PAUSED]
        # With the database on a full disk that it waits is told, and not stored.
        # The same where everything is in its place and the row of it could not be written: the next start sees that.
        stuck = self.left_done and any(state < FINISHED for state, _ in self.right_transfers.values())
        if self.adversary.done and (self.right.stalled or stuck or (paused and self.right.doing == 'receive')):
            self.right.end()
            self.right.stalled = self.left_done = False
        if self.right.alive or time.monotonic() < self.right.may_start:
            return
        if paused and self.adversary.done:
            self.right.start('resume', paused[0])
        else:
            self.right.start('receive', '--accept', '--to', self.disk.inbox)
        self.right.may_start = time.monotonic() + 0.2  # a folder that is away ends it at once

    def _is_over(self):
        """Everything has arrived, and both sides say so."""
        ends = []
        sent = self.left.transfers()
        self.left_done = bool(sent) and all(state >= FINISHED for state, _ in sent.values())
        for side, transfers in ((self.left, sent), (self.right, self.right_transfers)):
            for transfer, (state, name) in transfers.items():
                # Nobody accepted what found no room, or no folder: it may be sent again.
                if state > DELIVERED and not (state == DECLINED and self.may_decline):
                    raise LabError(f'{side.name}: transfer {transfer} ({name}) ended in state {state}')
            ends.append({transfer: name for transfer, (state, name) in transfers.items() if state == DELIVERED})
        return ends[0] == ends[1] and sorted(ends[0].values()) == sorted(payload.name for payload in self.payloads)

    def play(self):
        self.adversary = Adversary(self.world, self.sides, self.disk, self.mishaps)
        patience = None
        polled = 0.0
        while True:
            self.adversary.step()
            now = time.monotonic()
            if now - polled > POLL_SECONDS:
                polled = now
                self.right_transfers = self.right.transfers()
                if self._is_over():
                    break
            self._tend_left()
            self._tend_right()
            for side in self.sides.values():
                side.listen()
            if self.adversary.done:
                patience = patience or now + PATIENCE_SECONDS
                if now > patience:
                    raise LabError(f'not over {PATIENCE_SECONDS} s after the last mishap: left {self.left.transfers()}, '
                                   f'right {self.right.transfers()}')
            time.sleep(STEP_SECONDS)
        self.adversary.mend_all()
        for side in self.sides.values():
            side.end()
        self._check()

    def _check(self):
        names = sorted(os.listdir(self.disk.inbox))
        if names != sorted(payload.name for payload in self.payloads):
            raise LabError(f'in the folder are {names}')
        for payload in self.payloads:
            compare(payload, self.disk.inbox / payload.name)
        for side in self.sides.values():
            side.check_database()

    def story(self):
        """Plan and logs, for whoever has to understand it."""
        parts = [f'seed {self.seed}, network {self.world.kind}', *(f'  {mishap}' for mishap in self.mishaps)]
        for side in self.sides.values():
            lines = [line for line in side.story if '"event":"progress"' not in line]
            if len(lines) > LOG_LINES:
                lines = lines[:10] + [f'... {len(lines) - LOG_LINES} lines left out'] + lines[10 - LOG_LINES:]
            parts += [f'--- {side.name}', *lines]
        return '\n'.join(parts)


def run_seed(world, seed, tell=False):
    """None if all went well, else what went wrong."""
    run = Run(world, seed)
    try:
        run.play()
        if tell:
            print(run.story(), flush=True)
    except Exception as error:  # whatever it is, the other seeds go on
        text = str(error) if isinstance(error, LabError) else traceback.format_exc()
        return f'{text}\n{run.story()}'
    finally:
        if run.adversary is not None:
            run.adversary.mend_all()
        run.close()
    return None


def work(kind, seeds, taken, results, tell):
    """One process: a world, and seeds until there are none left."""
    world = None
    while True:
        with taken.get_lock():
            number = taken.value
            taken.value += 1
        if number >= len(seeds):
            break
        seed = seeds[number]
        began = time.monotonic()
        try:
            if world is None:
                world = World(kind).__enter__()
            outcome = run_seed(world, seed, tell)
        except Exception:
            outcome = traceback.format_exc()
        results.put((seed, outcome, time.monotonic() - began))
        if outcome is not None and world is not None:
            world.__exit__(None, None, None)  # whatever it left behind is not for the next one
            world = None
    if world is not None:
        world.__exit__(None, None, None)


def run_seeds(seeds, workers=WORKERS, tell=False):
    """Yields (seed, None or what went wrong, seconds) as runs end."""
    context = multiprocessing.get_context('fork')
    results = context.Queue()
    processes = []
    for kind in KINDS:
        mine = [seed for seed in seeds if kind_of(seed) == kind]
        taken = context.Value('i', 0)
        count = min(len(mine), max(1, workers // len(KINDS)))
        processes += [context.Process(target=work, args=(kind, mine, taken, results, tell)) for _ in range(count)]
    for process in processes:
        process.start()
    for _ in range(len(seeds)):
        yield results.get()
    for process in processes:
        process.join()


def main():
    seeds = [int(argument) for argument in sys.argv[1:]]
    if not seeds:
        sys.exit(__doc__)
    bad = 0
    for seed, outcome, seconds in run_seeds(seeds, tell=True):
        print(f'seed {seed}: {"all is well" if outcome is None else outcome}, {seconds:.1f} s', flush=True)
        bad += outcome is not None
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
