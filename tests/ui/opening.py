# SPDX-License-Identifier: GPL-3.0-or-later
"""What was received is opened, and shown where it is: by programs of the desktop, which note what reaches them.
Nothing that somebody sent is ever run."""

import json
import shutil
import struct
import subprocess
from pathlib import Path

from gi.repository import Gio

from desktop import wait_for
from journeys import household, journey, must

PORTAL = 'org.freedesktop.portal.Desktop'
GONE = 'It was moved, renamed or deleted'
FILE_MANAGER = Path(__file__).with_name('file-manager.py')


class Handler:
    """A program of this person's desktop that opens files of some types; it notes their addresses."""

    def __init__(self, home, person, name, *types):
        applications = Path(person.env['XDG_DATA_HOME'], 'applications')
        applications.mkdir(parents=True, exist_ok=True)
        self.opened = home.lab.work / f'{name}-opened'
        program = home.lab.work / f'open-{name}'
        program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >> {self.opened}\n', encoding='utf-8')
        program.chmod(0o755)
        (applications / f'{name}.desktop').write_text(
            f'[Desktop Entry]\nType=Application\nName={name}\nExec={program} %F\nMimeType={";".join(types)};\n', encoding='utf-8')
        with open(applications / 'mimeapps.list', 'a', encoding='utf-8') as defaults:
            defaults.write('[Default Applications]\n' + ''.join(f'{each}={name}.desktop\n' for each in types))

    def files(self):
        return self.opened.read_text(encoding='utf-8').splitlines() if self.opened.exists() else []

    def expect(self, *paths):
        """All that it was asked for so far, in order."""
        wanted = [str(path) for path in paths]
        wait_for(f'{paths[-1].name} to be opened', lambda: len(self.files()) >= len(wanted), 20)
        must(self.files() == wanted, f'opened: {self.files()}')


class FileManager:
    """The desktop's. Use it in a `with`; before and afterwards there is none."""

    def __init__(self, home):
        self.log = home.lab.work / 'file-manager.log'
        self._process = None

    def __enter__(self):
        self._process = subprocess.Popen(['python3', FILE_MANAGER, self.log])
        wait_for('the file manager', self.log.exists)
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()

    def shown(self):
        """(method, path) of each call."""
        calls = [json.loads(line) for line in self.log.read_text(encoding='utf-8').splitlines()]
        return [(call['method'], Gio.File.new_for_uri(uri).get_path()) for call in calls for uri in call['uris']]

    def expect(self, *paths):
        wanted = [('ShowItems', str(path)) for path in paths]
        wait_for(f'{paths[-1].name} to be shown', lambda: len(self.shown()) >= len(wanted), 20)
        must(self.shown() == wanted, f'shown: {self.shown()}')


def arrive(home, name, content):
    """A file of this name comes from Laptop to Desk, and is there."""
    path = home.lab.work / name
    path.write_bytes(content)
    receiving = home.right.receive()
    home.left.do('send', home.left.contact, path, timeout=60)
    receiving.expect_exit(0, 30)
    return home.right.inbox / name


def transfer_row(window, name):
    """A transfer on the person's page."""
    return window.wait(name, 'grouping')


def menu(window, name, item, history=None):
    """Chooses from the menu of a transfer: on the person's page, or in the dialog `history`."""
    row = window.wait(name, 'list item', within=history) if history else transfer_row(window, name)
    window.press('What to Do' if history else 'More', 'toggle button', within=row)
    window.press(item, 'menu item')


def dismiss(window, text):
    """Reads a message and closes it."""
    window.wait_text(text)
    window.press('Close', 'button', within=window.wait(role='alert'))
    window.wait_gone(role='alert')


@journey
def open_received(desktop):
    """"Open" and "Show in Folder" reach the desktop's programs, with the file as it is called here; what cannot be
    opened, and what is not there any more, is said. Without portals; with them: the next one."""
    with desktop.without_service(PORTAL), household(desktop, 'open-received') as home:
        home.not_ours = 'Not a supported version of the OpenURI portal'  # GTK's word for none
        home.introduce()
        texts = Handler(home, home.right, 'texts', 'text/plain')
        folders = Handler(home, home.right, 'folders', 'inode/directory')
        (home.right.inbox / 'Letter.txt').write_text('was here before', encoding='utf-8')
        letter = arrive(home, 'Letter.txt', b'Dear Desk').with_name('Letter (1).txt')
        must(letter.exists(), 'it was to have another name')
        strange = arrive(home, 'Strange.blend', b'BLENDER')
        window = home.open(home.right)
        window.click(window.wait('Laptop', 'list item'))

        menu(window, 'Letter.txt', 'Open')
        texts.expect(letter)
        menu(window, 'Strange.blend', 'Open')
        dismiss(window, 'This Cannot Be Opened')
        window.press('Show in Folder', 'button', within=transfer_row(window, 'Letter.txt'))
        folders.expect(home.right.inbox)  # there is no file manager: whatever opens folders has to do

        with FileManager(home) as manager:
            window.press('Show in Folder', 'button', within=transfer_row(window, 'Letter.txt'))
            manager.expect(letter)
            window.action('history')
            history = window.wait('History', 'dialog')
            menu(window, 'Letter.txt', 'Open', history)
            texts.expect(letter, letter)
            menu(window, 'Strange.blend', 'Show in Folder', history)
            manager.expect(letter, strange)
            window.activate(window.wait('Letter.txt', 'list item', within=history))
            window.wait_text('Sent as “Letter.txt”')
            window.press('Back', 'button', within=history)

            letter.rename(letter.with_name('Mine.txt'))
            strange.unlink()
            for name, item in (('Letter.txt', 'Open'), ('Strange.blend', 'Show in Folder')):
                menu(window, name, item, history)
                dismiss(window, GONE)
            desktop.key('Escape')
            window.wait_gone('History', 'dialog')
            menu(window, 'Letter.txt', 'Open')
            dismiss(window, GONE)
            texts.expect(letter, letter)
            manager.expect(letter, strange)


@journey
def open_several(desktop):
    """Of several files the folder is opened, and the first is pointed at; of a folder, the folder."""
    with household(desktop, 'open-several') as home, FileManager(home) as manager:
        home.introduce()
        folders = Handler(home, home.right, 'folders', 'inode/directory')
        holiday = home.lab.work / 'Holiday'
        holiday.mkdir()
        for name in ('Beach.txt', 'Sea.txt'):
            (holiday / name).write_text(name, encoding='utf-8')
        for paths in ([holiday], sorted(holiday.iterdir())):
            receiving = home.right.receive()
            home.left.do('send', home.left.contact, *paths, timeout=60)
            receiving.expect_exit(0, 30)
        window = home.open(home.right)
        window.click(window.wait('Laptop', 'list item'))
        inbox, both = home.right.inbox, 'Beach.txt, Sea.txt'
        menu(window, 'Holiday', 'Open')
        folders.expect(inbox / 'Holiday')
        menu(window, both, 'Open')
        folders.expect(inbox / 'Holiday', inbox)
        menu(window, 'Holiday', 'Show in Folder')
        manager.expect(inbox / 'Holiday')
        menu(window, both, 'Show in Folder')
        manager.expect(inbox / 'Holiday', inbox / 'Beach.txt')

        shutil.rmtree(inbox)
        menu(window, both, 'Open')
        dismiss(window, GONE)


@journey
def open_no_program(desktop):
    """A program that was received is not run by "Open", nor handed to anything that might: it is shown in its folder."""
    with household(desktop, 'open-no-program') as home, FileManager(home) as manager:
        home.introduce()
        ran = home.lab.work / 'ran'
        elf = b'\x7fELF\x02\x01\x01' + bytes(9) + struct.pack('<HHI', 2, 62, 1) + bytes(40)
        programs = [arrive(home, name, content) for name, content in (
            ('Photo.jpg.desktop', f'[Desktop Entry]\nType=Application\nName=Photo\nExec=touch {ran}\n'.encode()),
            ('Setup.exe', b'MZ' + bytes(62)), ('Game', elf))]
        script = arrive(home, 'Run me.sh', f'#!/bin/sh\ntouch {ran}\n'.encode())
        for each in (*programs, script):
            each.chmod(0o755)  # the person's own doing
        runner = Handler(home, home.right, 'runner', 'application/x-desktop', 'application/x-executable',
                         'application/x-ms-dos-executable', 'application/vnd.microsoft.portable-executable')
        texts = Handler(home, home.right, 'texts', 'application/x-shellscript')
        window = home.open(home.right)
        window.click(window.wait('Laptop', 'list item'))
        for program in programs:
            menu(window, program.name, 'Open')
            dismiss(window, 'This Is a Program')
        menu(window, programs[0].name, 'Open')
        window.press('Show in Folder', 'button', within=window.wait(role='alert'))
        manager.expect(programs[0])
        menu(window, script.name, 'Open')
        texts.expect(script)  # it is the last: what was to be opened before it has been
        must(runner.files() == [] and not ran.exists(), f'run: {runner.files()}')
