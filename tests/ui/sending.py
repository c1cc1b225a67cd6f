# SPDX-License-Identifier: GPL-3.0-or-later
"""More of sending: what is pasted, whom it is asked about, what waits, what is stopped and goes on."""

import contextlib
import re
import signal
import subprocess
import time

from contacts import choose
from desktop import wait_for
from drags import drop, received
from journeys import household, journey, must
from network import Network
from trees import compare, write_random

LIMIT = 2_000_000  # bytes a second, under which a transfer can be acted upon
LIMITED = 16_000_000  # bytes
CAP = 1_000_000_000  # a day: what is chosen unless the person chooses another
SLOW, SLOW_FILE = '160mbit', 240_000_000


def show(left, right):
    """Each window shows the other person."""
    left.click(left.wait('Desk', 'list item'))
    right.click(right.wait('Laptop', 'list item'))


def send(home, path):
    """Drags a file onto the page that the left window shows."""
    left = home.windows[0]
    drop(left, home, [path], left.wait('Desk', 'list item'))


def newest(folder, pattern):
    return max(folder.glob(pattern), key=lambda path: path.stat().st_mtime_ns, default=None)


@contextlib.contextmanager
def clipboard(desktop, kind, content):
    """Somebody has copied this; a program that owns the clipboard has to stay."""
    owner = subprocess.Popen(['xclip', '-quiet', '-selection', 'clipboard', '-t', kind, '-i'], stdin=subprocess.PIPE,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    owner.stdin.write(content)
    owner.stdin.close()
    try:
        wait_for(f'{kind} in the clipboard', lambda: kind in desktop.clipboard('TARGETS'), 10)
        yield
    finally:
        owner.kill()
        owner.wait()


@journey
def always_accept_and_paste(desktop):
    """One offer is answered with "always", up to a size: what is pasted then arrives without a question, be it
    files, an image or a text, and what is larger is asked about."""
    with household(desktop, 'always-accept-and-paste') as home:
        home.introduce()
        left, right = home.open(home.left), home.open(home.right)
        show(left, right)
        first, large = home.lab.work / 'First.txt', home.lab.work / 'Large.bin'
        first.write_text('first', encoding='utf-8')
        send(home, first)
        right.press('More Ways to Accept', 'toggle button')
        right.press('Always Accept…', 'menu item')
        right.wait('Always Accept from Laptop?')
        right.press('Always Accept', 'button')
        received(home.right, first)
        contact = home.right.do('contacts').last_event('contact')
        must(contact.get('auto_accept_max') in (None, CAP), f'the cap is not as it was shown: {contact}')

        second = home.lab.work / 'Second.txt'
        second.write_text('second', encoding='utf-8')
        with clipboard(desktop, 'text/uri-list', f'{second.as_uri()}\r\n'.encode()):
            left.focus()
            desktop.key('ctrl+v')
            received(home.right, second)
        image = home.lab.work / 'image.png'
        subprocess.run(['convert', '-size', '8x8', 'xc:red', str(image)], check=True)
        with clipboard(desktop, 'image/png', image.read_bytes()):
            desktop.key('ctrl+v')
            arrived = wait_for('the image', lambda: newest(home.right.inbox, 'Pasted image *.png'))
            told = subprocess.run(['identify', '-format', '%m %wx%h', str(arrived)], capture_output=True, text=True, check=True)
            must(told.stdout == 'PNG 8x8', told.stdout)
        with clipboard(desktop, 'UTF8_STRING', 'Grüße'.encode()):
            desktop.key('ctrl+v')
            arrived = wait_for('the text', lambda: newest(home.right.inbox, 'Pasted text *.txt'))
            must(arrived.read_text(encoding='utf-8') == 'Grüße', 'it is not what was copied')

        with open(large, 'wb') as file:
            file.truncate(CAP + 1)
        send(home, large)
        right.press('Decline', 'button')
        left.wait_text('Desk declined')
        must(not (home.right.inbox / large.name).exists(), 'what is too large was accepted')


@journey
def accept_into_another_folder(desktop):
    """An offer is taken into a folder that is chosen for it alone."""
    with household(desktop, 'accept-into-another-folder') as home:
        home.introduce()
        path, folder = home.lab.work / 'Plums.txt', home.lab.work / 'Orchard'
        path.write_text('plums', encoding='utf-8')
        folder.mkdir()
        window = home.open(home.left)
        offering = home.right.cli('send', home.right.contact, path, '--timeout', '120')
        window.click(window.wait('Desk', 'list item'))
        window.press('More Ways to Accept', 'toggle button', 60)
        window.press('Accept Into Another Folder…', 'menu item')
        choose(window, 'Save Into', folder)
        offering.expect_exit(0, 60)
        must((folder / path.name).read_text(encoding='utf-8') == 'plums', 'it is not what was sent')
        must(not (home.left.inbox / path.name).exists(), 'it is in the usual folder too')


@journey
def controls(desktop):
    """Under a speed limit: pause, resume, cancel and send again, each as the other side is told it too."""
    with household(desktop, 'controls') as home:
        home.introduce()
        left, right = home.open(home.left), home.open(home.right)
        show(left, right)
        left.action('preferences')
        left.press('Connection', 'page tab')
        left.set_value(left.wait('Upload', 'spin button'), LIMIT / 1_000_000)
        wait_for('the limit', lambda: home.left_setting('speed-limit-up') == str(LIMIT))
        desktop.key('Escape')
        left.wait_gone('Preferences', 'dialog')

        path = home.lab.work / 'Long.bin'
        write_random(path, LIMITED)
        send(home, path)
        right.press('Accept', 'button')
        left.press('Pause', 'button')
        left.wait_text('Paused')
        right.wait_text('Paused by Laptop')
        left.press('Resume', 'button')
        right.wait_gone(re.compile('Paused by Laptop'))
        left.press('Cancel', 'button')
        left.wait_text('Cancelled')
        right.wait_text('The other side cancelled')
        must(not (home.right.inbox / path.name).exists(), 'a cancelled file is there')

        home.left.do('config', 'set', 'speed-limit-up', '0')
        left.press('Send Again', 'button')
        right.press('Accept', 'button')
        left.wait_text('Delivered', 60)
        received(home.right, path)


@journey
def speed_limit(desktop):
    """Nothing is faster than it may be."""
    with household(desktop, 'speed-limit') as home:
        home.introduce()
        home.right.do('config', 'set', 'speed-limit-down', str(LIMIT))
        left, right = home.open(home.left), home.open(home.right)
        show(left, right)
        path = home.lab.work / 'Slow.bin'
        write_random(path, LIMIT * 3)
        send(home, path)
        right.press('Accept', 'button')
        began = time.monotonic()
        left.wait_text('Delivered', 60)
        # What a bucket holds goes at once; twice the limit is none.
        took = time.monotonic() - began
        must(took > 1.5, f'{LIMIT * 3} bytes in {took:.1f} s at {LIMIT} a second')
        received(home.right, path)


@journey
def offline(desktop):
    """What is sent to somebody who is away waits, is shown as waiting, and goes when they come."""
    with household(desktop, 'offline') as home:
        home.introduce()
        left = home.open(home.left)
        path = home.lab.work / 'Later.txt'
        path.write_text('later', encoding='utf-8')
        left.click(left.wait('Desk', 'list item'))
        left.wait('Offline', 'label')
        send(home, path)
        left.wait_text('Waiting for Desk to come online')
        right = home.open(home.right)
        right.click(right.wait('Laptop', 'list item'))
        right.press('Accept', 'button', 60)
        left.wait_text('Delivered', 60)
        received(home.right, path)


@journey
def quit_in_mid_transfer(desktop):
    """Quitting asks once; after the next start the transfer goes on by itself, and arrives whole."""
    with household(desktop, 'quit-in-mid-transfer') as home:
        home.introduce()
        home.left.do('config', 'set', 'speed-limit-up', str(LIMIT))
        left, right = home.open(home.left), home.open(home.right)
        show(left, right)
        path = home.lab.work / 'Half.bin'
        write_random(path, LIMITED)
        send(home, path)
        right.press('Accept', 'button')
        right.wait(role='progress bar')
        left.focus()
        desktop.key('ctrl+q')
        left.wait('Quit During a Transfer?')
        left.press('Cancel', 'button', within=left.wait('Quit During a Transfer?'))
        left.wait_gone('Quit During a Transfer?')
        must(left.process.process.poll() is None, 'it ended though nobody wanted it')
        desktop.key('ctrl+q')
        left.press('Quit', 'button', within=left.wait('Quit During a Transfer?'))
        left.process.expect_exit(0, 30)
        home.left.do('config', 'set', 'speed-limit-up', '0')
        must(not (home.right.inbox / path.name).exists(), 'it was over before it was interrupted')
        home.open(home.left)
        received(home.right, path)
        right.wait_text('Received')


@journey
def opened_with(desktop):
    """Files on the command line, and by "Open With" (D-Bus), ask whom to send them to."""
    with household(desktop, 'opened-with') as home:
        home.introduce()
        one, two = home.lab.work / 'One.txt', home.lab.work / 'Two.txt'
        for path in (one, two):
            path.write_text(path.name, encoding='utf-8')
        right = home.open(home.right)
        right.click(right.wait('Laptop', 'list item'))
        left = home.open(home.left, one)
        left.wait('Send To', 'dialog')
        desktop.key('Escape')  # nothing is sent by mistake
        left.wait_gone('Send To', 'dialog')
        home.start(home.left, one).expect_exit(0, 30)
        for path in (one, two):
            dialog = left.wait('Send To', 'dialog')
            left.click(left.wait('Desk', 'list item', within=dialog))
            left.wait_gone('Send To', 'dialog')
            right.press('Accept', 'button', 60)
            received(home.right, path)
            if path is one:
                subprocess.run(['gapplication', 'launch', left.app_id(), str(two)], check=True, timeout=60)


@journey
def badge(desktop):
    """A file that begins over the relay says so; when a direct path is found it says that."""
    with household(desktop, 'badge', network=Network('port-restricted', 'port-restricted', rate=SLOW)) as home:
        home.introduce()
        left, right = home.open(home.left), home.open(home.right)
        show(left, right)
        home.lab.network.part()
        path = home.lab.work / 'Long.bin'
        write_random(path, SLOW_FILE)
        send(home, path)
        right.press('Accept', 'button', 60)
        for window in (left, right):
            window.wait('Relayed', 'label', seconds=60)
        left.press('More', 'toggle button')
        left.press('Details', 'menu item')
        left.wait('Transfer Details', 'dialog')
        for text in ('a relay', 'What Was Tried', 'In use', re.compile('No answer|Being tried')):
            left.wait_text(text)
        desktop.key('Escape')
        left.wait_gone('Transfer Details', 'dialog')
        home.lab.network.part(False)
        for window in (left, right):
            window.wait('Direct through both routers', 'label', seconds=60)
        home.lab.network.release()
        received(home.right, path)
