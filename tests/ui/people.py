# SPDX-License-Identifier: GPL-3.0-or-later
"""People with a desktop: the lab's two persons, each with a Porthole window of their own.

Both windows are on one screen; each program is in the network namespace of its person's host, behind
that person's NAT."""

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

from desktop import TOP, wait_for
from network import LabError, Network
from pilot import Pilot
from programs import Lab, Program

APP_ID = 'org.porthole.Porthole'
LOG_LINES = 40  # of each window that has said something, shown with a failure
# What GLib prints for a mistake in the program, or of a toolkit that it uses. A window that says so is a
# window that failed: there are no exceptions.
MISTAKE = re.compile(r'-(CRITICAL|WARNING) \*\*:|(CRITICAL|WARNING) \*\*:|Sanitizer|runtime error:')


def program(build):
    return TOP / 'build' / build / 'app/gtk/porthole'


def app_id(person):
    """The name on the session bus of a person's Porthole: ph_app_id_for_profile()."""
    return f'{APP_ID}.P{hashlib.sha256(str(person.profile).encode()).hexdigest()[:16]}'


class Window(Pilot):
    """A running Porthole of a person."""

    def __init__(self, desktop, person, process):
        self.person = person
        self.process = process  # Program
        super().__init__(desktop, process.process.pid, person.name)

    def mistakes(self):
        """Lines of its log that no program should print."""
        lines = self.process.log.read_text(encoding='utf-8', errors='replace').splitlines()
        return [line for line in lines if MISTAKE.search(line)]

    def app_id(self):
        return app_id(self.person)

    def action(self, name, target=None):
        """Activates an action of the application by D-Bus, as a notification does: the same in every
        language, and without a window."""
        done = subprocess.run(['gapplication', 'action', self.app_id(), name, *([f"'{target}'"] if target else [])],
                              capture_output=True, text=True, check=False, timeout=60)
        if done.returncode != 0:
            raise LabError(f'{self.label}: action {name}: {done.stderr.strip()}')

    def quit(self, seconds=30):
        """As a person does; what goes on in the background goes on."""
        self.focus()
        self.desktop.key('ctrl+q')
        self.process.wait_exit(seconds)


class Household:
    """A lab with a desktop: the servers run, left and right each can open a window."""

    def __init__(self, desktop, network=None, build='release', animations=False):
        self.desktop = desktop
        self.build = build
        self.animations = animations  # of the toolkit: without them nothing has to be waited for
        self.lab = Lab(network or Network('port-restricted', 'address-restricted'))
        self.windows = []
        self.not_ours = None

    def __enter__(self):
        self.lab.__enter__()
        try:
            self.lab.start_coturn()
            self.lab.start_rendezvous()
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(self, kind, error, trace):
        if isinstance(error, Exception):
            error.logs = self._window_logs()
        self.lab.__exit__(kind, error, trace)

    def _window_logs(self):
        """What the windows' programs have said, and the last command line; the servers' logs would bury it."""
        said = [(each.name, each.log.read_text(encoding='utf-8', errors='replace').splitlines()[1:])
                for each in self.lab.programs if each.name.endswith('-porthole') or each is self.lab.programs[-1]]
        return '\n'.join('\n'.join([f'--- {name}', *lines[-LOG_LINES:]]) for name, lines in said if lines)

    def left_setting(self, key):
        """As the engine knows it: the command line asks the window."""
        return self.left.do('config', 'get', key).last_event('config')['value']

    @property
    def left(self):
        return self.lab.left

    @property
    def right(self):
        return self.lab.right

    def settings(self, person):
        """What a person's toolkit is set to."""
        folder = Path(person.env['XDG_CONFIG_HOME'], 'gtk-4.0')
        folder.mkdir(parents=True, exist_ok=True)
        Path(folder, 'settings.ini').write_text(
            f'[Settings]\ngtk-enable-animations={int(self.animations)}\ngtk-cursor-blink=0\n'
            # GNOME's own: two buttons more cut the titles of a narrow window.
            'gtk-decoration-layout=:close\n', encoding='utf-8')

    def environment(self, person):
        """The person's own, on the desktop. The accessibility bus is found by the desktop's folder."""
        return {**os.environ, **{key: value for key, value in person.env.items() if key != 'XDG_RUNTIME_DIR'}}

    def introduce(self):
        """Two people who know each other: left is Laptop, right is Desk."""
        for person, name in ((self.left, 'Laptop'), (self.right, 'Desk')):
            person.do('config', 'set', 'name', name)
            person.do('config', 'set', 'download-dir', str(person.inbox))
        self.lab.introduce()
        self.left.do('rename', self.left.contact, 'Desk')
        self.right.do('rename', self.right.contact, 'Laptop')

    def prepare(self, person, *arguments, env=None):
        """(command line, environment) of the person's Porthole."""
        if not program(self.build).exists():
            raise LabError(f'build/{self.build} has no porthole')
        self.settings(person)
        Path(person.env['HOME'], 'Downloads').mkdir(exist_ok=True)
        return ([program(self.build), '--profile', person.profile, *arguments],
                {**self.environment(person), 'LC_ALL': 'C.UTF-8', 'G_ENABLE_DIAGNOSTIC': '1', **(env or {})})

    def start(self, person, *arguments, env=None):
        """Starts the person's Porthole; returns the running program, with or without a window."""
        argv, environment = self.prepare(person, *arguments, env=env)
        return Program(self.lab, f'{person.name}-porthole', person.host, argv, env=environment)

    def open(self, person, *arguments, env=None, place=None, size=None):
        """Opens the person's window and, unless told otherwise, puts left to the left and right to the right."""
        window = self.adopt(person, self.start(person, *arguments, env=env))
        x, y = place or ((20, 40) if person is self.left else (1240, 40))
        wait_for('a window', lambda: self.desktop.windows(window.pid))
        self.desktop.place(window.window(), x, y, *(size or (1000, 700)))
        return window

    def adopt(self, person, process):
        """The window of a program that was started before."""
        window = Window(self.desktop, person, process)
        self.windows.append(window)
        return window

    def check_logs(self):
        """Raises if any window has complained about itself, but for what `not_ours` names."""
        for window in self.windows:
            found = [line for line in window.mistakes() if self.not_ours is None or self.not_ours not in line]
            if found:
                raise LabError(f'{window.label} printed: ' + '\n'.join(found[:10]))


def own_networks_only():
    """The desktop and its programs are never on the machine's own network."""
    outer = os.environ.get('PORTHOLE_OUTER_NETNS')
    if not outer or os.readlink('/proc/self/ns/net') == outer:
        raise LabError('start this with ./run: it needs a network namespace of its own')
