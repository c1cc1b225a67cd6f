# SPDX-License-Identifier: GPL-3.0-or-later
"""What the adversary acts on: two people's programs, their lines, disks and folders, and the servers between
them. Everything it breaks can be mended."""

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

from network import LabError, Network, run, within
from programs import CLI, Lab

RATE = '24mbit'  # slow enough to be disturbed in the middle
RATE_BYTES = 3_000_000
FINISHED = 4  # PH_STORE_DELIVERED: from here on a transfer is over
DELIVERED, PAUSED, DECLINED = 4, 3, 6


class ChaosNetwork(Network):
    """A network whose lines can be cut, and whose hosts can be given other addresses."""

    def __init__(self, kind):
        super().__init__(kind, kind, rate=RATE)

    def _edge(self, side):
        return next(name for name in (f'{side}-router', side) if self.prefix + name in self.namespaces)

    def line(self, side, up):
        """The line between a site and the internet: the far end goes down, as if somebody pulled the plug."""
        self._ip('internet', f'link set {self._edge(side)} {"up" if up else "down"}')


class Side:
    """One person: a profile, and at most one porthole-cli on it at a time."""

    def __init__(self, world, name, folder, disk):
        """The profile is made on `disk`, the log in `folder`."""
        self.world = world
        self.name = name
        self.host = getattr(world.network, name)
        self.profile = disk / name
        self.log_path = folder / f'{name}.log'
        shutil.copytree(world.templates[name], self.profile)
        self.process = None
        self.log = open(self.log_path, 'ab')
        self.story = []  # lines with their time, for a failure
        self.read_at = 0
        self.rest = b''
        self.frozen = False
        self.may_start = 0.0  # not before this monotonic time
        self.jump = 0  # seconds by which the next start finds the monotonic clocks elsewhere
        self.doing = None
        self.stalled = False  # said that somebody must make room, or bring the folder back

    # --- The program ------------------------------------------------------------------------------

    def start(self, *arguments):
        argv = [CLI, '--profile', self.profile, '--json', *arguments]
        if self.jump:
            argv = ['unshare', '--time', f'--monotonic={self.jump}', f'--boottime={self.jump}', '--fork',
                    '--kill-child=KILL', '--', *argv]
        shown = ' '.join(str(part) for part in argv[argv.index(CLI) + 4:])
        self.note(f'starts: {shown}{f", clocks moved by {self.jump} s" if self.jump else ""}')
        self.process = subprocess.Popen(within(self.host.name, argv), stdin=subprocess.DEVNULL, stdout=self.log,
                                        stderr=self.log, env=dict(os.environ, LC_ALL='C.UTF-8'))
        self.jumped = bool(self.jump)
        self.doing = arguments[0]
        self.listen()
        self.stalled = False

    def note(self, text):
        self.story.append(f'{self.world.clock():7.2f} {text}')

    @property
    def alive(self):
        return self.process is not None and self.process.poll() is None

    def _pid(self):
        """porthole-cli itself, which may be the child of unshare; None if it is not there yet."""
        if not self.jumped:
            return self.process.pid
        try:
            children = Path(f'/proc/{self.process.pid}/task/{self.process.pid}/children').read_text().split()
        except OSError:
            return None
        return int(children[0]) if children else None

    def signal(self, number):
        pid = self._pid() if self.alive else None
        if pid is not None:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass
        return pid is not None

    def kill(self, wait):
        """As a crash or a power cut would end it; it comes back after `wait` seconds."""
        if self.alive:
            self.process.kill()
            if self.jumped:
                self.signal(signal.SIGKILL)
            self.process.wait()
            self.note('killed')
        self.frozen = False
        self.may_start = time.monotonic() + wait

    def freeze(self, frozen):
        if frozen != self.frozen and (self.signal(signal.SIGSTOP if frozen else signal.SIGCONT) or not frozen):
            self.note('suspended' if frozen else 'resumed')
            self.frozen = frozen

    def end(self):
        """As a person would, with Ctrl+C."""
        if self.alive:
            self.freeze(False)
            while self.alive and not self.signal(signal.SIGINT):
                time.sleep(0.01)  # unshare has not got to it yet
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                raise LabError(f'{self.name} does not end when asked to') from None
        self.may_start = 0.0

    def listen(self):
        """Puts down what it has told since the last call."""
        with open(self.log_path, 'rb') as log:
            log.seek(self.read_at)
            fresh = self.rest + log.read()
            self.read_at = log.tell()
        lines = fresh.split(b'\n')
        self.rest = lines.pop()
        self.story += [f'{self.world.clock():7.2f}   {line.decode(errors="replace")}' for line in lines]
        self.stalled |= any(b'"event":"waiting"' in line
                            and any(code in line for code in (b'"no-space"', b'"folder"', b'"profile-unusable"'))
                            for line in lines)

    # --- The database -----------------------------------------------------------------------------

    def query(self, sql):
        """Rows, or None while there is nothing to read (the program may be at it)."""
        try:
            with sqlite3.connect(f'file:{self.profile}/porthole.db?mode=rw', uri=True, timeout=5) as database:
                return database.execute(sql).fetchall()
        except sqlite3.OperationalError:
            return None

    def transfers(self):
        """{id: (state, top-level name)}, in the order they were made."""
        rows = self.query('SELECT hex(id), state, title FROM transfers ORDER BY position, created_at')
        return {row[0].lower(): (row[1], row[2]) for row in rows or ()}

    def check_database(self):
        rows = self.query('PRAGMA integrity_check')
        if rows != [('ok',)]:
            raise LabError(f'{self.name}: the database is not whole: {rows}')
        left = self.query('SELECT count(*) FROM checkpoints')
        if left != [(0,)]:
            raise LabError(f'{self.name}: checkpoints are left of what is delivered: {left}')


class World:
    """A network, its servers, and two people who know each other, for one run after the other."""

    def __init__(self, kind):
        self.kind = kind
        self.network = ChaosNetwork(kind)
        self.lab = Lab(self.network)
        self.templates = {}
        self.began = time.monotonic()
        self.rendezvous = self.relay = None

    def __enter__(self):
        self.lab.__enter__()
        try:
            self.relay = self.lab.start_coturn()
            self.rendezvous = self.lab.start_rendezvous()
            self.lab.introduce()
            self.contact = self.lab.left.contact
            for side in ('left', 'right'):
                self.templates[side] = getattr(self.lab, side).profile
        except BaseException:
            self.lab.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind, error, trace):
        self.lab.__exit__(kind, error, trace)

    def clock(self):
        return time.monotonic() - self.began

    # --- The servers ------------------------------------------------------------------------------

    def stop_rendezvous(self):
        if self.rendezvous is not None:
            self.rendezvous.kill()
            self.rendezvous = None

    def start_rendezvous(self):
        if self.rendezvous is None:
            self.rendezvous = self.lab.start_rendezvous()

    def stop_relay(self):
        if self.relay is not None:
            self.relay.kill()
            self.relay = None

    def start_relay(self):
        if self.relay is None:
            self.relay = self.lab.start_coturn()


class Disk:
    """The receiver's disk: a small one of its own, whose folder can go and whose room can be taken."""

    def __init__(self, folder, size):
        self.mount = folder / 'disk'
        self.mount.mkdir()
        run(['mount', '-t', 'tmpfs', '-o', f'size={size}', 'tmpfs', str(self.mount)])
        self.inbox = self.mount / 'inbox'
        self.inbox.mkdir()
        self.elsewhere = self.mount / 'elsewhere'
        self.filler = self.mount / 'filler'

    def fill(self, keep):
        """Takes all the room but `keep` bytes."""
        space = os.statvfs(self.mount)
        size = space.f_bavail * space.f_frsize - keep
        if size > 0 and not self.filler.exists():
            with open(self.filler, 'wb') as file:
                try:
                    os.posix_fallocate(file.fileno(), 0, size)
                except OSError:
                    pass  # the transfer was faster: it is full

    def free(self):
        self.filler.unlink(missing_ok=True)

    def hide(self):
        if self.inbox.exists():
            self.inbox.rename(self.elsewhere)

    def bring_back(self):
        if self.elsewhere.exists():
            self.elsewhere.rename(self.inbox)

    def close(self):
        subprocess.run(['umount', '-l', str(self.mount)], check=False, capture_output=True)


def write_payload(generator, folder, most):
    """A file or a folder of some files, `most` bytes at most; its name tells nothing."""
    if generator.random() < 0.5:
        path = folder / f'file-{generator.randrange(1000)}.bin'
        path.write_bytes(generator.randbytes(generator.randrange(most // 4, most)))
        return path
    path = folder / f'folder-{generator.randrange(1000)}'
    path.mkdir()
    (path / 'empty').mkdir()
    count = generator.randrange(2, 60)
    for number in range(count):
        sub = path / f'sub {number % 3}'
        sub.mkdir(exist_ok=True)
        (sub / f'{number}.dat').write_bytes(generator.randbytes(generator.randrange(0, most // count)))
    return path


def seeded(seed):
    return random.Random(f'porthole chaos {seed}')
