#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""./run screenshots DIR: every page as a picture, as wide as a desk and as narrow as a telephone, in light
and dark and from right to left, and in the languages that stretch it most.

They are written to build/screenshots (./run copies them), where a person looks at them: no program
can tell whether a page is a good one. The names are PAGE-VARIANT-WIDTH.png."""

import argparse
import os
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path

sys.dont_write_bytecode = True

from desktop import TOP, Desktop, wait_for  # noqa: E402
from pilot import text_of  # noqa: E402

sys.path.append(str(TOP / 'po'))
from translate import locale_environment, use_build  # noqa: E402

OUT = TOP / 'build/screenshots'
SIZES = {1000: (1000, 700), 360: (360, 640)}


@dataclass
class Variant:
    name: str
    env: dict
    language: str = ''
    text_scale: float = 1.0


VARIANTS = [
    Variant('light', {}),
    Variant('dark', {'ADW_DEBUG_COLOR_SCHEME': 'prefer-dark'}),
    Variant('contrast', {'ADW_DEBUG_HIGH_CONTRAST': '1'}),
    Variant('large', {}, text_scale=1.25),  # what GNOME calls large text
    Variant('larger', {}, text_scale=1.5),  # and what some need
    Variant('ar', {}, 'ar'),
    Variant('de', {}, 'de'),
]

# What a page is reached by: an action of the application.
DIALOGS = {'add-person': 'add-person', 'network': 'network', 'history': 'history', 'preferences': 'preferences',
           'shortcuts': 'shortcuts', 'about': 'about'}
PAGES = ('welcome', 'people', 'person', *DIALOGS, 'preferences-connection', 'transfer', 'transfer-details', 'details',
         'safety-number', 'send', 'drop', 'changed-key', 'key-alert')
LIMIT = 500_000  # bytes a second, for a transfer that is still under way when its pictures are taken


def file_name(page, variant, width):
    return f'{page}-{variant}-{width}.png'


def file_names():
    """All that are made when nothing is asked for; the description for software centres shows some."""
    return {file_name(page, variant.name, width) for page in PAGES for variant in VARIANTS for width in SIZES}


class Photographer:
    def __init__(self, desktop, home, variant, env):
        self.desktop = desktop
        self.home = home
        self.variant = variant
        self.env = env
        self.window = None

    def sized(self, page):
        """Both widths, one after the other: yields the path of the picture to take."""
        assert page in PAGES
        for width, size in SIZES.items():
            self.desktop.place(self.window.window(), 20, 40, *size)
            wait_for(f'{page} at {width}', lambda: self.desktop.geometry(self.window.window())[2:] == size, 10)
            yield OUT / file_name(page, self.variant.name, width)

    def take(self, page):
        for path in self.sized(page):
            self.desktop.xdotool('mousemove', 1500, 1000)
            self.desktop.settled_picture(path, self.window.window())

    def take_drop(self, *files):
        """While files hover over the middle of the window."""
        from drags import drag_source
        for path in self.sized('drop'):
            source, start = drag_source(self.home, *files)
            x, y, width, height = self.desktop.geometry(self.window.window())
            self.desktop.drag(start, (x + width // 2, y + height // 2),
                              lambda: self.desktop.settled_picture(path, self.window.window()), drop=False)
            source.kill()
            source.wait()

    def nth(self, role, number, within=None):
        """What has a name in another language has the same place."""
        def found():
            nodes = [node for node in self.window.nodes(within) if self.window.role(node) == role]
            return nodes[number] if len(nodes) > number else None
        return wait_for(f'{role} {number}', found)

    def dialog(self):
        """The dialog on top."""
        return wait_for('a dialog', lambda: ([node for node in self.window.nodes() if self.window.role(node) == 'dialog']
                                             or [None])[-1])

    def escape(self):
        def gone():
            if not self.window.find(role='dialog'):
                return True
            self.window.focus()
            self.desktop.key('Escape')
            return False

        wait_for('the dialog to close', gone)

    def open(self, person):
        self.desktop.scale_text(self.variant.text_scale)
        self.window = self.home.open(person, env=self.env, place=(20, 40), size=SIZES[1000])

    def dialogs(self):
        for page, action in DIALOGS.items():
            self.window.action(action)
            dialog = self.dialog()
            if page == 'network':  # not before the verdict
                self.window.wait_text(self.home.left.host.public, 60)
            self.take(page)
            if page == 'preferences':
                next(self.sized('preferences-connection'))  # the tabs are elsewhere when it is narrow
                self.window.activate(self.nth('page tab', 1, dialog))
                wait_for('where people meet', lambda: any(
                    text_of(node).startswith('ws') for node in self.window.nodes(dialog) if self.window.role(node) == 'text'))
                self.take('preferences-connection')
            self.escape()

    def transfers(self, film, transfer):
        """One that is accepted here, and slowed down over there."""
        self.window.action('accept', transfer)
        self.window.wait(role='progress bar')
        self.take('transfer')
        self.window.action('transfer-details', transfer)
        self.dialog()
        self.take('transfer-details')
        self.escape()
        self.take_drop(film)
        opening = self.home.start(self.home.left, film, env=self.env)
        opening.expect_exit(0, 30)
        self.dialog()
        self.take('send')
        self.escape()

    def person_details(self):
        self.window.action('person-details', self.home.left.contact)
        dialog = self.dialog()
        self.take('details')
        self.window.click(self.nth('list item', 2, dialog))
        from contacts import NUMBER
        self.window.wait(NUMBER, 'label')
        self.take('safety-number')
        self.escape()

    def changed_key(self):
        self.window.click(self.window.wait(re.compile('Desk'), 'list item'))
        self.take('changed-key')
        self.window.action('person-details', self.home.left.contact)
        self.window.activate(self.nth('button', -1, self.dialog()))  # the banner's comes last
        self.window.wait(re.compile('Desk'), 'alert')
        self.take('key-alert')

    def close(self):
        self.window.process.process.terminate()
        self.window.process.process.wait()


def furnish(home):
    """Two people with a past: files that came and went, one that was declined, and an offer."""
    from trees import write_random
    lab = home.lab
    home.introduce()
    folder = lab.work / 'Holiday photos'
    folder.mkdir()
    for number in range(1, 13):
        write_random(folder / f'Beach {number:02}.jpg', 150_000)
    letter = lab.work / 'Letter to the landlord.odt'
    write_random(letter, 40_000)
    for sender, receiver, path in ((lab.left, lab.right, folder), (lab.right, lab.left, letter)):
        receiving = receiver.receive()
        sender.do('send', sender.contact, path, timeout=60)
        receiving.expect_exit(0, 30)
    film = lab.work / 'A day at the sea.mp4'
    write_random(film, 30_000_000)
    return film


def photograph(desktop, variant, locales):
    from people import Household
    from contacts import alert
    env = dict(variant.env, **(locale_environment(locales, variant.language) if variant.language else {}))
    with Household(desktop) as home:
        shots = Photographer(desktop, home, variant, env)
        shots.open(home.left)
        shots.take('welcome')
        shots.close()
    with Household(desktop) as home:
        film = furnish(home)
        shots = Photographer(desktop, home, variant, env)
        shots.open(home.left)
        shots.take('people')
        home.right.do('config', 'set', 'speed-limit-up', str(LIMIT))
        offering = home.right.cli('send', home.right.contact, film, '--timeout', '120')
        row = shots.window.wait(re.compile('Desk'), 'list item')
        shots.window.click(row)
        shots.window.wait_text('A day at the sea', 60)
        shots.take('person')
        shots.transfers(film, home.left.do('transfers').last_event('transfer')['transfer'])
        shots.dialogs()
        shots.person_details()
        shots.close()
        offering.kill()
        alert(home.left)
        shots.open(home.left)
        shots.changed_key()
        shots.close()


def chosen(names):
    """Those of the list, or of that name; any other name is a language."""
    known = {variant.name: variant for variant in VARIANTS}
    return [known.get(name) or Variant(name, {}, name) for name in names] if names else VARIANTS


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('variants', nargs='*', help='light, dark, contrast, or a language')
    arguments = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with Desktop() as desktop:
        from people import own_networks_only
        own_networks_only()
        use_build()
        locales = Path(os.environ['XDG_RUNTIME_DIR'], 'locales')
        locales.mkdir()
        for variant in chosen(arguments.variants):
            photograph(desktop, variant, locales)
            print(f'{variant.name}: {time.monotonic() - began:.0f} s', file=sys.stderr)


if __name__ == '__main__':
    main()
