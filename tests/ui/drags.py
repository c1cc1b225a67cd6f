# SPDX-License-Identifier: GPL-3.0-or-later
"""Sending: a file is dragged from another program's window onto a person, and arrives there."""

import subprocess
from pathlib import Path

from desktop import wait_for
from journeys import household, journey, must
from trees import awkward_tree, compare, write_random

SOURCE = Path(__file__).with_name('drag-source.py')
SOURCE_PLACE = (60, 900)
DROP_SECONDS = 20


def drag_source(home, *paths, env=None):
    """(process, point to drag from) of a small window that offers files."""
    desktop = home.desktop
    log = open(home.lab.logs / 'drag-source.log', 'w', encoding='utf-8')
    source = home.lab.network.start(home.left.host, ['python3', SOURCE, *paths], stdout=log, stderr=log,
                                    env={**home.environment(home.left), **(env or {})})
    window = wait_for('the drag source', lambda: desktop.windows(source.pid))[0]
    desktop.place(window, *SOURCE_PLACE)
    x, y, width, height = desktop.geometry(window)
    return source, (x + width // 2, y + height // 2)


def drop(window, home, paths, target, hint=None, env=None):
    """Drags `paths` onto a thing in the window; `hint` must be on the screen while it hovers."""
    source, start = drag_source(home, *paths, env=env)
    try:
        window.desktop.drag(start, window.centre(target), (lambda: window.wait_text(hint, 10)) if hint else
                            (lambda: None))
        # Who lets go has not handed over yet: the files are asked for afterwards, of a source that must be there.
        must(source.wait(timeout=DROP_SECONDS) == 0, f'{window.label} refused what was dropped')
    finally:
        source.kill()
        source.wait()


def received(person, path, seconds=60):
    """Waits until the file is in the person's folder, whole and the same."""
    wait_for(f'{path.name} in the folder', (person.inbox / path.name).exists, seconds)
    compare(path, person.inbox / path.name)


@journey
def drag_onto_person(desktop):
    """A drag onto a row in the list; the other accepts; both sides say that it is there."""
    with household(desktop, 'drag-onto-person') as home:
        home.introduce()
        film = home.lab.work / 'Film.bin'
        write_random(film, 30_000_000)
        left, right = home.open(home.left), home.open(home.right)
        drop(left, home, [film], left.wait('Desk', 'list item'))
        left.click(left.wait('Desk', 'list item'))
        left.wait_text('Film.bin')
        right.click(right.wait('Laptop', 'list item'))
        right.wait_text('Film.bin')
        right.press('Accept', 'button')
        left.wait_text('Delivered', 60)
        right.wait_text('Received')
        received(home.right, film)


@journey
def drag_onto_page(desktop):
    """A drag of two files onto the person's page, which says beforehand what it will do."""
    with household(desktop, 'drag-onto-page') as home:
        home.introduce()
        files = [home.lab.work / 'One.txt', home.lab.work / 'Two.txt']
        for path in files:
            path.write_text(path.name * 100, encoding='utf-8')
        left, right = home.open(home.left), home.open(home.right)
        left.click(left.wait('Desk', 'list item'))
        page = left.wait('Desk', 'grouping')
        drop(left, home, files, page, hint='Send 2 files')
        right.click(right.wait('Laptop', 'list item'))
        right.press('Accept', 'button', 60)
        left.wait_text('Delivered', 60)
        for path in files:
            received(home.right, path)


@journey
def drag_folder(desktop):
    """A folder arrives with all that is in it."""
    with household(desktop, 'drag-folder') as home:
        home.introduce()
        folder = awkward_tree(home.lab.work / 'Folder')
        left, right = home.open(home.left), home.open(home.right)
        left.click(left.wait('Desk', 'list item'))
        drop(left, home, [folder], left.wait('Desk', 'grouping'))
        right.click(right.wait('Laptop', 'list item'))
        right.press('Accept', 'button', 60)
        left.wait_text('Delivered', 60)
        received(home.right, folder)


@journey
def decline(desktop):
    """What is declined is not there, and the sender hears of it."""
    with household(desktop, 'decline') as home:
        home.introduce()
        path = home.lab.work / 'Unwanted.txt'
        path.write_text('no', encoding='utf-8')
        left, right = home.open(home.left), home.open(home.right)
        drop(left, home, [path], left.wait('Desk', 'list item'))
        right.click(right.wait('Laptop', 'list item'))
        right.press('Decline', 'button', 60)
        left.click(left.wait('Desk', 'list item'))
        left.wait_text('Desk declined', 60)
        must(not (home.right.inbox / path.name).exists(), 'a declined file was written')
