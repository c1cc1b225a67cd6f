# SPDX-License-Identifier: GPL-3.0-or-later
"""A monkey at the keyboard and the mouse: seeded random input against the sanitizers' build, while
another person sends files. Nothing it does may end the program, or make it complain.

The seed is the same each time, so that a change breaks the run of whoever made it; PH_SEED=N tries another.
What follows from a seed is what is tried, and whether things move (odd ones) or are there at once; what it meets depends
on two running programs.

It keeps to Porthole's own windows. GTK's file chooser and program chooser show a screen reader actions that no
person can reach while they are hidden (GTK 4.18 crashes in g_drive_stop () for one of them): they only get the
Escape key."""

import collections
import contextlib
import os
import random
import time

from desktop import wait_for
from journeys import asan_journey, household, must
from network import LabError
from trees import write_random

SEED = 1
SECONDS, SECONDS_LONG = 60, 600
TAKE_SHARE = 0.3  # of the things met on a random walk: else those on top would be all it presses
TOLD_ACTS = 15  # the last ones, shown with a failure
OFFER_EVERY_SECONDS = 6
ENDING_SECONDS = 3  # it may have been asked to end
OWN_TITLE = 'Porthole'
OWN_TITLES = (OWN_TITLE, 'porthole')  # the latter: menus and the like
ENDS = ('Close', 'Quit', 'Minimize')
KEYS = ('Tab', 'Tab', 'Tab', 'shift+Tab', 'Return', 'Return', 'space', 'Escape', 'Escape', 'Down', 'Up', 'Left', 'Right',
        'Menu', 'F10', 'Delete', 'Home', 'End', 'ctrl+n', 'ctrl+o', 'ctrl+f', 'ctrl+v', 'ctrl+comma', 'ctrl+question',
        'ctrl+a', 'ctrl+c', 'alt+Left')
TEXTS = ('porthole:', 'a', '%s%n', 'wss://x.example/', '\\', '0', '-1', '99999999999')
SIZES = ((360, 294), (360, 640), (700, 500), (1000, 700))
# GTK's own count of pressed buttons, when a menu goes between a press and its release: every program of GTK 4 says it
# at times, and nothing but the look of a pressed widget depends on it.
PRESSED_ELSEWHERE = 'Broken accounting of active state for widget'
SANITIZERS = {'ASAN_OPTIONS': 'detect_leaks=0:abort_on_error=1:strict_string_checks=1',
              'UBSAN_OPTIONS': 'halt_on_error=1:print_stacktrace=1'}


class Monkey:
    def __init__(self, home, seed):
        self.home = home
        self.desktop = home.desktop
        self.random = random.Random(seed)
        self.window = None
        self.acts = self.starts = 0
        self.told = collections.deque(maxlen=TOLD_ACTS)

    def play(self, seconds):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.window is None or self.window.process.process.poll() is not None:
                self.open()
            act = self.random.choices((self.press, self.click, self.key, self.type, self.resize),
                                      weights=(8, 6, 8, 1, 1))[0]
            if not self.escape():
                act()
            self.acts += 1

    def tell(self, *words):
        self.told.append(' '.join(str(word) for word in words))

    def escape(self):
        """Leaves the toolkit's own windows; whether there were any."""
        foreign = [window for window in self.desktop.windows(self.window.pid)
                   if self.desktop.xdotool('getwindowname', window) not in OWN_TITLES]
        for window in foreign:
            self.tell('escape from', self.desktop.xdotool('getwindowname', window))
            self.desktop.xdotool('windowactivate', window, 'key', '--clearmodifiers', 'Escape')
        return bool(foreign)

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
        return next(reversed(self.desktop.windows(running.process.pid)), None)  # it may have gone again, as menus do

    def press(self):
        """Does what a random thing on the screen offers to a screen reader."""
        node = next((node for frame in self.window.frames(OWN_TITLE)
                     for node in self.window.nodes(frame, self.random.shuffle)
                     if self.window.can_act(node) and self.random.random() < TAKE_SHARE), None)
        if node is None:
            return
        if self.window.name(node) in ENDS and self.random.random() < 0.9:
            return  # it would do little else
        self.tell('press', self.window.role(node), self.window.name(node))
        with contextlib.suppress(LabError):  # the window may just be going
            self.window.act(node)

    def click(self):
        window = self.somewhere()
        if window:
            try:
                x, y, width, height = self.desktop.geometry(window)
            except KeyError:  # a menu that has just gone
                return
            across, down = self.random.randrange(max(width, 1)), self.random.randrange(max(height, 1))
            button = self.random.choice((1, 1, 1, 3))
            self.tell('click', f'{across},{down} of {width}x{height}', button)
            self.desktop.click(x + across, y + down, button)

    def key(self):
        for key in self.random.choices(KEYS, k=self.random.randint(1, 4)):
            if not self.somewhere() or self.escape():
                break
            self.tell('key', key)
            self.desktop.key(key)

    def type(self):
        text = self.random.choice(TEXTS)
        self.tell('type', text)
        self.desktop.type(text)

    def resize(self):
        window = self.somewhere()
        if window:
            size = self.random.choice(SIZES)
            self.tell('resize', size)
            self.desktop.xdotool('windowsize', window, *size)


@asan_journey
def random_input(desktop, long):
    """Also that nothing is printed that a program should not print: see people.MISTAKE."""
    seed = int(os.environ.get('PH_SEED') or SEED)
    with household(desktop, 'random-input', build='asan', animations=seed % 2 == 1) as home:
        home.not_ours = PRESSED_ELSEWHERE
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
                home.check_logs()
            alive = monkey.window.process.process.poll()
            must(alive in (None, 0), f'it ended with status {alive}')
        except Exception as error:
            did = '\n'.join(monkey.told)
            raise type(error)(f'seed {seed}, {monkey.acts} acts: {error}\nthe last acts were:\n{did}') from error
        return f'seed {seed}: {monkey.acts} acts, {len(offers)} offers, {monkey.starts} starts'
