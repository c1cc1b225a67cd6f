# SPDX-License-Identifier: GPL-3.0-or-later
"""The portals of a session, as a desktop has them: xdg-desktop-portal with the document portal and GTK's dialogs, on
the tests' own bus; and what GTK's do not have: leave to run in the background."""

import os
import subprocess
from pathlib import Path

import gi
gi.require_version('Gio', '2.0')
from gi.repository import Gio, GLib  # noqa: E402

from desktop import wait_for  # noqa: E402
from network import LabError  # noqa: E402

BACKGROUND = 'org.freedesktop.impl.portal.Background'
MOCK = Path(__file__).with_name('background-portal.py')
BUS = ('org.freedesktop.DBus', '/org/freedesktop/DBus', 'org.freedesktop.DBus')
STORE = ('org.freedesktop.impl.portal.PermissionStore', '/org/freedesktop/impl/portal/PermissionStore',
         'org.freedesktop.impl.portal.PermissionStore')
NAMES = ('org.freedesktop.portal.Desktop', 'org.freedesktop.portal.Documents', 'org.freedesktop.portal.Flatpak',
         'org.freedesktop.impl.portal.desktop.gtk', 'org.freedesktop.impl.portal.PermissionStore')


class Portals:
    """The bus starts them with an environment that fits. Use it in a `with`: afterwards they have ended.
    `background`: whether this desktop has that portal."""

    def __init__(self, desktop, runtime_dir, background=False):
        self.desktop = desktop
        self.runtime_dir = runtime_dir
        self.background = background
        self.bus = Gio.bus_get_sync(Gio.BusType.SESSION)
        self.folder = Path(desktop.folder, 'portals')
        self.config = self.folder / 'config'  # of the portals
        self._mock = None

    def __enter__(self):
        self._stop()
        self.folder.mkdir(exist_ok=True)
        gtk = Path('/usr/share/xdg-desktop-portal/portals/gtk.portal').read_text(encoding='utf-8')
        (self.folder / 'gtk.portal').write_text(gtk, encoding='utf-8')
        described = self.folder / 'test.portal'
        described.unlink(missing_ok=True)
        if self.background:
            described.write_text(f'[portal]\nDBusName=org.porthole.TestPortal\nInterfaces={BACKGROUND};\nUseIn=gnome\n',
                                 encoding='utf-8')
            self._start_mock()
        exports = Path(os.environ['FLATPAK_USER_DIR'], 'exports/share')
        environment = {key: value for key, value in self.desktop.env.items()
                       if key not in ('GTK_USE_PORTAL', 'GDK_DEBUG', 'ADW_DISABLE_PORTAL')}
        environment |= {'XDG_CONFIG_HOME': str(self.config), 'XDG_RUNTIME_DIR': self.runtime_dir, 'XDG_DESKTOP_PORTAL_DIR': str(self.folder),
                        'XDG_DATA_DIRS': f'{exports}:/usr/local/share:/usr/share',
                        'FLATPAK_USER_DIR': os.environ['FLATPAK_USER_DIR']}
        self._call(BUS, 'UpdateActivationEnvironment', '(a{ss})', environment)
        return self

    def __exit__(self, *_):
        self._stop()
        if self._mock:
            self._mock.kill()
            self._mock.wait()

    def _call(self, whom, method, kind, *arguments):
        return self.bus.call_sync(*whom, method, GLib.Variant(kind, arguments), None, Gio.DBusCallFlags.NONE, 30_000, None)

    def _pid(self, name):
        try:
            return self._call(BUS, 'GetConnectionUnixProcessID', '(s)', name).unpack()[0]
        except GLib.Error:
            return None

    def dialogs_pid(self):
        return self._pid('org.freedesktop.impl.portal.desktop.gtk')

    def _stop(self):
        for name in NAMES:
            pid = self._pid(name)
            if pid:
                subprocess.run(['kill', str(pid)], check=False)
                wait_for(f'{name} to end', lambda name=name: not self._pid(name))

    # --- Running in the background -------------------------------------------------------------------

    def _start_mock(self):
        read, write = os.pipe()
        self._mock = subprocess.Popen(['python3', MOCK, str(write)], pass_fds=[write], env=dict(os.environ, **self.desktop.env))
        os.close(write)
        with os.fdopen(read) as pipe:
            if not pipe.readline():
                raise LabError('the background portal ended at once')

    def autostart(self, app_id):
        """What is started at login for this program; None: nothing."""
        path = Path(self.config, 'autostart', f'{app_id}.desktop')
        return path.read_text(encoding='utf-8') if path.exists() else None

    def allow_background(self, app_id, allow):
        """As a person does in the desktop's settings."""
        self._call(STORE, 'SetPermission', '(sbssas)', 'background', True, 'background', app_id, ['yes' if allow else 'no'])

    def background_allowed(self, app_id):
        """What the portal has noted down of this program; None: nothing."""
        try:
            permissions, _ = self._call(STORE, 'Lookup', '(ss)', 'background', 'background').unpack()
        except GLib.Error:
            return None
        return permissions.get(app_id)
