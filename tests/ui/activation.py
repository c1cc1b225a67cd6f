# SPDX-License-Identifier: GPL-3.0-or-later
"""What the desktop asks for while no window is open and the program may not even run: the search of GNOME's
overview, and the buttons of notifications. The session bus starts the program, as it does when it is installed."""

import subprocess
from types import SimpleNamespace

import gi
gi.require_version('Gio', '2.0')
from gi.repository import Gio, GLib  # noqa: E402

from desktop import wait_for
from journeys import household, journey, must
from network import within
from people import Window, app_id
from pilot import text_of

IDLE_SECONDS = 10  # a program that a search has started stays so long: IDLE_MS
SEARCH = 'org.gnome.Shell.SearchProvider2'


class Service:
    """A person's Porthole, which the session bus starts when it is called."""

    def __init__(self, home, person):
        self.home, self.person = home, person
        self.name = app_id(person)
        self.path = '/' + self.name.replace('.', '/')
        self.bus = Gio.bus_get_sync(Gio.BusType.SESSION)
        self.log = home.lab.logs / f'{person.name}-service.log'
        argv, environment = home.prepare(person, '--gapplication-service')
        start = home.lab.work / f'{person.name}-service'
        words = within(person.host.name, ['env', '-i', *(f'{key}={value}' for key, value in environment.items()), *argv])
        start.write_text('#!/usr/bin/env python3\nimport os\n'
                         f'log = os.open({str(self.log)!r}, os.O_WRONLY | os.O_CREAT | os.O_APPEND)\n'
                         'os.dup2(log, 1)\nos.dup2(log, 2)\n'
                         f'os.execvp({words[0]!r}, {words!r})\n', encoding='utf-8')
        start.chmod(0o755)
        home.desktop.add_service(self.name, [start])

    def call(self, path, interface, method, signature, *arguments):
        parameters = GLib.Variant(f'({signature})', arguments) if signature else None
        return self.bus.call_sync(self.name, path, interface, method, parameters, None, Gio.DBusCallFlags.NONE, 60_000,
                                  None).unpack()

    def search(self, method, signature, *arguments):
        return self.call(f'{self.path}/SearchProvider', SEARCH, method, signature, *arguments)

    def action(self, name, *targets):
        """As a notification's button does it."""
        self.call(self.path, 'org.freedesktop.Application', 'ActivateAction', 'sava{sv}', name,
                  [GLib.Variant('s', target) for target in targets], {})

    def _ask_bus(self, method, kind):
        return self.bus.call_sync('org.freedesktop.DBus', '/org/freedesktop/DBus', 'org.freedesktop.DBus', method,
                                  GLib.Variant('(s)', (self.name,)), GLib.VariantType(kind), Gio.DBusCallFlags.NONE, -1,
                                  None).unpack()[0]

    def runs(self):
        return self._ask_bus('NameHasOwner', '(b)')

    def pid(self):
        return self._ask_bus('GetConnectionUnixProcessID', '(u)')

    def windows(self):
        return self.home.desktop.windows(self.pid())

    def adopt(self):
        wait_for('a window', self.windows)
        return self.home.adopt(self.person, SimpleNamespace(process=SimpleNamespace(pid=self.pid()), log=self.log))


def sockets(person):
    """Those of running programs."""
    done = subprocess.run(within(person.host.name, ['ss', '-Htuan', 'state', 'all', 'exclude', 'time-wait']), capture_output=True, text=True, check=True)
    return done.stdout.split('\n')[:-1]


@journey
def desktop_search(desktop):
    """The desktop finds people while nothing runs, and what is chosen opens their page. A search alone brings nobody
    online who does not want to be."""
    with household(desktop, 'desktop-search') as home:
        home.introduce()
        home.left.do('rename', home.left.contact, 'Désirée Desk')
        home.left.do('config', 'set', 'run-in-background', 'false')
        service = Service(home, home.left)
        must(not service.runs(), 'it runs before anybody called it')

        found, = service.search('GetInitialResultSet', 'as', ['DESIREE'])
        must(len(found) == 1, f'found: {found}')
        metas, = service.search('GetResultMetas', 'as', found)
        meta = metas[0]
        must(meta['name'] == 'Send to Désirée Desk' and meta['description'] == 'Offline', f'it is described as {meta}')
        must(Gio.Icon.deserialize(GLib.Variant('(sv)', (meta['icon'][0], GLib.Variant('as', meta['icon'][1])))),
             f'no icon: {meta}')
        must(service.search('GetSubsearchResultSet', 'asas', found, ['DESIREE', 'kitchen']) == ([],), 'a word too many')
        home.left.do('contacts')  # whatever the engine was told before this, it has done
        must(not service.windows(), 'a search opened a window')
        must(sockets(home.left) == [], f'a search went online: {sockets(home.left)}')
        wait_for('an idle program ends', lambda: not service.runs(), IDLE_SECONDS + 20)

        service.search('LaunchSearch', 'asu', ['desk', 'des'], 0)
        window = service.adopt()
        desktop.place(window.window(), 20, 40, 1000, 700)
        wait_for('the search', lambda: (entry := window.find('Search People')) and text_of(entry) == 'desk des')
        window.wait('Désirée Desk', 'list item')
        wait_for('to be online', lambda: sockets(home.left))

        service.search('ActivateResult', 'sasu', found[0], ['desk'], 0)
        window.wait('Désirée Desk', 'grouping')
        wait_for('a dialog for files', lambda: len(service.windows()) == 2)

        home.left.do('block', home.left.contact)
        wait_for('the blocked one to be gone', lambda: service.search('GetInitialResultSet', 'as', ['desk']) == ([],))
        must(service.search('GetResultMetas', 'as', found) == ([],), 'somebody blocked is described')
        service.action('quit')
        wait_for('it to end', lambda: not service.runs())


@journey
def notification_starts_it(desktop):
    """A notification outlives the program that showed it: its buttons start it again, and do what they say."""
    with household(desktop, 'notification-starts-it') as home:
        home.introduce()
        service = Service(home, home.right)
        service.action('show-person', '')  # anything
        wait_for('it to run', service.runs)
        path = home.lab.work / 'For you.txt'
        path.write_text('hello', encoding='utf-8')
        sending = home.left.cli('send', home.left.contact, path, '--timeout', '120')

        def shown(title):
            return next((each for each in desktop.notifications(service.name).values() if title in each['title']), None)

        offer = wait_for('a notification', lambda: shown('Wants to Send'), 60)
        accept = next(button for button in offer['buttons'] if button['label'] == 'Accept')
        service.action('quit')
        wait_for('it to be gone', lambda: not service.runs())

        service.action(accept['action'].removeprefix('app.'), accept['target'])
        sending.expect_exit(0, 120)
        must((home.right.inbox / path.name).read_text(encoding='utf-8') == 'hello', 'it is not what was sent')
        must(not service.windows(), 'a window opened that nobody asked for')

        done = wait_for('the end to be told', lambda: shown('Received From'), 60)
        service.action(done['default-action'].removeprefix('app.'), done['default-action-target'])
        window = service.adopt()
        window.wait('Laptop', 'grouping')
        window.wait_text(path.name)
        service.action('quit')
        wait_for('it to end', lambda: not service.runs())
