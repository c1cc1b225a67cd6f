#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""./run screenshots DIR: every page as a picture, as wide as a desk and as narrow as a telephone, in light
and dark and from right to left, and in the languages that stretch it most.

They are written to build/screenshots (./run copies them), where a person looks at them: no program
can tell whether a page is a good one. The names are PAGE-VARIANT-WIDTH.png."""

import argparse
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

sys.dont_write_bytecode = True

from desktop import TOP, Desktop, wait_for  # noqa: E402

sys.path.append(str(TOP / 'po'))
from translate import locale_environment, use_build  # noqa: E402

OUT = TOP / 'build/screenshots'
SIZES = {1000: (1000, 700), 360: (360, 640)}


@dataclass
class Variant:
    name: str
    env: dict
    language: str = ''


VARIANTS = [
    Variant('light', {}),
    Variant('dark', {'ADW_DEBUG_COLOR_SCHEME': 'prefer-dark'}),
    Variant('contrast', {'ADW_DEBUG_HIGH_CONTRAST': '1'}),
    Variant('ar', {}, 'ar'),
    Variant('de', {}, 'de'),
]

# What a page is reached by: an action of the application.
DIALOGS = {'add-person': 'add-person', 'network': 'network', 'history': 'history', 'preferences': 'preferences',
           'shortcuts': 'shortcuts', 'about': 'about'}
PAGES = ('welcome', 'people', 'person', *DIALOGS)


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

    def take(self, page):
        assert page in PAGES
        for width, size in SIZES.items():
            self.desktop.place(self.window.window(), 20, 40, *size)
            wait_for(f'{page} at {width}', lambda: self.desktop.geometry(self.window.window())[2:] == size, 10)
            self.desktop.xdotool('mousemove', 1500, 1000)
            self.desktop.settled_picture(OUT / file_name(page, self.variant.name, width), self.window.window())

    def open(self, person):
        self.window = self.home.open(person, env=self.env, place=(20, 40), size=SIZES[1000])

    def dialogs(self):
        for page, action in DIALOGS.items():
            self.window.action(action)
            self.take(page)
            self.window.focus()
            self.desktop.key('Escape', 'Escape')

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
        offering = home.right.cli('send', home.right.contact, film, '--timeout', '120')
        row = shots.window.wait('Desk', 'list item')
        shots.window.click(row)
        shots.window.wait_text('A day at the sea', 60)
        shots.take('person')
        shots.dialogs()
        shots.close()
        offering.kill()


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
