# SPDX-License-Identifier: GPL-3.0-or-later
"""People in the list: keys that are compared, people who are blocked or removed, identities that move."""

import contextlib
import re
import sqlite3
import time

from desktop import wait_for
from drags import drop, received
from journeys import household, journey, must
from network import LabError
from pilot import text_of
from programs import START_SECONDS
from windows import begin

NUMBER = re.compile(r'^(\d{5}\s+){11}\d{5}$')
ALERT = 'Somebody without this person’s key answers'
PASSPHRASE = 'correct horse battery staple'


def details(window, name):
    """Opens the page about a person, as its menu does."""
    window.click(window.wait(name, 'list item'))
    window.press('Person Menu', 'toggle button')
    window.press('Details', 'menu item')
    return window.wait('Details', 'dialog')


def contacts(person):
    """The list as the command line has it."""
    return [event for event in person.do('contacts').events if event['event'] == 'contact']


@journey
def safety_number(desktop):
    """Both sides are shown the same number, and it stays said that it was compared."""
    with household(desktop, 'safety-number') as home:
        home.introduce()
        left, right = home.open(home.left), home.open(home.right)
        numbers = []
        for window, name in ((left, 'Desk'), (right, 'Laptop')):
            dialog = details(window, name)
            window.click(window.wait('Compare Keys', 'list item', within=dialog))
            numbers.append(window.name(window.wait(NUMBER, 'label')))
        must(numbers[0] == numbers[1], f'they differ: {numbers}')
        left.press('The Numbers Are the Same', 'button')
        left.wait('Keys compared', 'image')


@journey
def block(desktop):
    """Who is blocked sees the other offline, and what they send waits; unblocked, it comes."""
    with household(desktop, 'block') as home:
        home.introduce()
        left, right = home.open(home.left), home.open(home.right)
        right.click(right.wait('Laptop', 'list item'))
        left.click(left.wait('Desk', 'list item'))
        left.wait('Online', 'label')
        right.press('Person Menu', 'toggle button')
        right.press('Block', 'menu item')
        right.wait('Blocked', 'label')
        left.wait('Offline', 'label')
        path = home.lab.work / 'Patience.txt'
        path.write_text('patience', encoding='utf-8')
        drop(left, home, [path], left.wait('Desk', 'list item'))
        left.wait_text('Waiting for Desk to come online')
        must(not right.sees(path.name), 'a blocked person is heard')
        right.press('Person Menu', 'toggle button')
        right.press('Block', 'menu item')
        right.press('Accept', 'button', 60)
        received(home.right, path)


@journey
def remove(desktop):
    """A removal can be undone; one that is not is final when its window closes."""
    with household(desktop, 'remove') as home:
        home.introduce()
        left = home.open(home.left)

        def remove_desk():
            left.click(left.wait('Desk', 'list item'))
            left.press('Person Menu', 'toggle button')
            left.press('Remove', 'menu item')
            left.wait_gone('Desk', 'list item')

        remove_desk()
        left.press('Undo', 'button')
        left.wait('Desk', 'list item')
        must(len(contacts(home.left)) == 1, 'the contact is gone all the same')
        remove_desk()
        left.focus()
        desktop.key('ctrl+w')
        wait_for('the removal', lambda: not contacts(home.left))


def alert(person):
    """Puts it on record, while the profile is not in use, that somebody has answered without the key."""
    with contextlib.closing(sqlite3.connect(person.profile / 'porthole.db')) as store, store:
        store.execute('UPDATE contacts SET alerted_at = ?', (int(time.time()),))


@journey
def changed_key(desktop):
    """Once somebody has answered without the person's key nothing goes out, which is said where it cannot be
    missed, and only the person can go on. (That it is noticed is the engine's, and tested there: here its
    record is put into the profile.)"""
    with household(desktop, 'changed-key') as home:
        home.introduce()
        left = home.open(home.left)
        left.click(left.wait('Desk', 'list item'))
        must(not left.sees(ALERT), 'it is said for no reason')
        left.quit()
        alert(home.left)
        left = home.open(home.left)
        left.click(left.wait('Desk', 'list item'))
        left.wait_text(ALERT)
        right = home.open(home.right)
        right.click(right.wait('Laptop', 'list item'))
        path = home.lab.work / 'Secret.txt'
        path.write_text('secret', encoding='utf-8')
        drop(left, home, [path], left.wait('Desk', 'list item'))
        left.wait(path.name)
        left.wait('Stop: This May Not Be Desk')
        must(not right.sees(path.name), 'something was offered')
        left.press('Try Again', 'button')
        left.wait_gone(re.compile(ALERT))
        right.press('Accept', 'button', 60)
        received(home.right, path)


@journey
def opened_address(desktop):
    """A porthole: address that is opened shows whose invitation it is before anything is done."""
    with household(desktop, 'opened-address') as home:
        home.left.do('config', 'set', 'name', 'Laptop')
        home.left.do('config', 'set', 'rendezvous', home.lab.rendezvous)
        inviting = home.left.cli('invite')
        link = inviting.wait_event('invitation', START_SECONDS)['link']
        right = home.open(home.right)
        begin(right, 'Desk')
        home.start(home.right, link)
        dialog = right.wait('Add a Person', 'dialog')
        right.press('Add', 'button', within=dialog)
        right.wait_text('You are contacts from')
        right.press('Done', 'button')
        right.wait('Laptop', 'list item')
        inviting.expect_exit(0, 30)


@journey
def identity(desktop):
    """An identity goes into a file and comes out of it on another computer, with its people."""
    with household(desktop, 'identity') as home:
        home.introduce()
        file = home.lab.work / 'Me.porthole'
        left = home.open(home.left)
        left.action('preferences')
        left.press('Export Identity…', 'button')
        dialog = left.wait('Export Identity', 'dialog')
        for label in ('Passphrase', 'Repeat passphrase'):
            left.type_into(left.wait(label, 'text', within=dialog), PASSPHRASE)
        left.press('Export…', 'button', within=dialog)
        choose(left, 'Export Identity', file)
        left.wait('Identity Exported', seconds=60)
        must(file.stat().st_mode & 0o77 == 0, 'others can read it')
        left.press('Done', 'button')
        left.wait_gone('Export Identity', 'dialog')
        desktop.key('Escape')
        left.wait_gone('Preferences', 'dialog')
        left.quit()

        # The other computer: what was there is replaced, which has to be said first.
        mine = home.left.do('id').last_event('id')
        right = home.open(home.right)
        right.action('preferences')
        right.press('Import Identity…', 'button')
        dialog = right.wait('Import Identity', 'dialog')
        right.click(right.wait(re.compile('^File'), within=dialog))
        choose(right, 'Import Identity', file)
        right.wait_text(file.name)
        right.type_into(right.wait('Passphrase', 'text', within=dialog), PASSPHRASE)
        right.press(re.compile('^Replace what is here'), 'check box', within=dialog)
        right.press('Import', 'button', within=dialog)
        right.wait('Identity Imported', seconds=60)
        right.press('Done', 'button')
        right.wait('Desk', 'list item')
        must(home.right.do('id').last_event('id')['id'] == mine['id'], 'it is another identity')


def choose(window, title, path):
    """Types a path into the toolkit's file chooser, a window of that title."""
    desktop = window.desktop

    def chooser():
        return next((each for each in desktop.windows(window.pid) if desktop.xdotool('getwindowname', each) == title), None)

    desktop.xdotool('windowactivate', '--sync', wait_for(f'a file chooser: {title}', chooser))

    def entry():
        frames = window.frames(title)
        return window.find(role='text', within=frames[0]) if frames else None

    if not entry():  # where files are opened it only comes when it is asked for
        desktop.key('ctrl+l')
    place = wait_for('where to type a path', entry)


    def typed():
        """Again, where the chooser was not ready for it."""
        desktop.key('ctrl+a')
        desktop.type(str(path))
        desktop.key('shift+End', 'Delete')  # what the chooser has completed
        with contextlib.suppress(LabError):
            # What comes when it is asked for comes with a "/", which stays behind what is typed.
            wait_for('the path', lambda: text_of(place).rstrip('/') == str(path), 3)
            if text_of(place).endswith('/'):
                desktop.key('End', 'BackSpace')
            return wait_for('the path', lambda: text_of(place) == str(path), 3)

    wait_for('the path', typed)
    desktop.key('Return')
    wait_for('the file chooser to close', lambda: not chooser())
