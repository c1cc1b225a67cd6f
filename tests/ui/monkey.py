# SPDX-License-Identifier: GPL-3.0-or-later
"""A monkey at the keyboard and the mouse: seeded random input against the sanitizers' build, while
another person sends files. Nothing it does may end the program, or make it complain.

PH_SEED=N does the same again, as far as two running programs can."""

import contextlib
import os
import random
import time

from desktop import wait_for
from journeys import asan_journey, household, must
from network import LabError
from trees import write_random

SECONDS, SECONDS_LONG = 60, 600
OFFER_EVERY_SECONDS = 6
ENDING_SECONDS = 3  # it may have been asked to end
ENDS = ('Close', 'Quit', 'Minimize')
KEYS = ('Tab', 'Tab', 'Tab', 'shift+Tab', 'Return', 'Return', 'space', 'Escape', 'Escape', 'Down', 'Up', 'Left', 'Right',
        'Menu', 'F10', 'Delete', 'Home', 'End', 'ctrl+n', 'ctrl+o', 'ctrl+f', 'ctrl+v', 'ctrl+comma', 'ctrl+question',
        'ctrl+a', 'ctrl+c', 'alt+Left')
TEXTS = ('porthole:', 'a', '%s%n', 'wss://x.example/', '\\', '0', '-1', '99999999999')
SIZES = ((360, 294), (360, 640), (700, 500), (1000, 700))
SANITIZERS = {'ASAN_OPTIONS': 'detect_leaks=0:abort_on_error=1:strict_string_checks=1',
              'UBSAN_OPTIONS': 'halt_on_error=1:print_stacktrace=1'}


class Monkey:
    def __init__(self, home, seed):
        self.home = home
        self.desktop = home.desktop
        self.random = random.Random(seed)
        self.window = None
        self.acts = self.starts = 0

    def play(self, seconds):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.window is None or self.window.process.process.poll() is not None:
                self.open()
            act = self.random.choices((self.press, self.click, self.key, self.type, self.resize),
                                      weights=(8, 6, 8, 1, 1))[0]
            act()
            self.acts += 1

    def open(self):
        if self.window:
            # Ending is allowed, when it was asked to: Ctrl+Q and the menu are within the monkey's reach.
            status = self.window.process.process.returncode
            must(status == 0, f'it ended with status {status} after {self.acts} acts')
        self.window = self.home.open(self.home.left, env=SANITIZERS)
        self.starts += 1

    def somewhere(self):
        """A window to act on. One that was closed is opened again, as a person would: by starting the
        program once more, whether it runs in the background or has ended."""
        windows = self.desktop.windows(self.window.pid)
        if windows:
            return windows[-1]
        with contextlib.suppress(LabError):
            self.window.process.wait_exit(ENDING_SECONDS)
            return None
        again = self.home.start(self.home.left, env=SANITIZERS)
        running = wait_for('the window again', lambda: next(
            (each for each in (self.window.process, again) if self.desktop.windows(each.process.pid)), None), 60)
        if running is again:  # it had just ended by itself
            self.window = self.home.adopt(self.home.left, again)
        return self.desktop.windows(running.process.pid)[-1]

    def press(self):
        """Does what a random thing on the screen offers to a screen reader."""
        nodes = [node for node in self.window.nodes() if self.window.can_act(node)]
        if not nodes:
            return
        node = self.random.choice(nodes)
        if self.window.name(node) in ENDS and self.random.random() < 0.9:
            return  # it would do little else
        with contextlib.suppress(LabError):  # the window may just be going
            self.window.act(node)

    def click(self):
        window = self.somewhere()
        if window:
            x, y, width, height = self.desktop.geometry(window)
            self.desktop.click(x + self.random.randrange(max(width, 1)), y + self.random.randrange(max(height, 1)),
                               self.random.choice((1, 1, 1, 3)))

    def key(self):
        if self.somewhere():
            self.desktop.key(*self.random.choices(KEYS, k=self.random.randint(1, 4)))

    def type(self):
        self.desktop.type(self.random.choice(TEXTS))

    def resize(self):
        window = self.somewhere()
        if window:
            self.desktop.xdotool('windowsize', window, *self.random.choice(SIZES))


@asan_journey
def random_input(desktop, long):
    seed = int(os.environ.get('PH_SEED') or random.randrange(1 << 32))
    with household(desktop, 'random-input', build='asan') as home:
        home.lab.introduce()
        monkey = Monkey(home, seed)
        small = home.lab.work / 'small'
        write_random(small, 300_000)
        offers = []

        def offer():
            """The other person keeps sending, whatever becomes of it."""
            if not offers or offers[-1].process.poll() is not None:
                offers.append(home.right.cli('send', home.right.contact, small, '--timeout', '30'))

        try:
            end = time.monotonic() + (SECONDS_LONG if long else SECONDS)
            while (left := end - time.monotonic()) > 0:
                offer()
                monkey.play(min(OFFER_EVERY_SECONDS, left))
            alive = monkey.window.process.process.poll()
            must(alive in (None, 0), f'it ended with status {alive}')
            told = [line for window in home.windows for line in window.mistakes()]
            must(not any('Sanitizer' in line or 'runtime error' in line for line in told), '\n'.join(told[:10]))
            home.windows.clear()  # a complaint of the toolkit's is shown below; here it is crashes that count
        except Exception as error:
            raise type(error)(f'seed {seed}: {error}') from error
        complaints = ''.join(f'\n{line}' for line in told[:5])
        return f'seed {seed}: {monkey.acts} acts, {len(offers)} offers, {monkey.starts} starts{complaints}'
