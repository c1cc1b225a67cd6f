# SPDX-License-Identifier: GPL-3.0-or-later
"""What the desktop learns of Porthole by `meson install`: entry, types, icons, description."""

import configparser
import os
import subprocess
import tempfile
from pathlib import Path

from desktop import TOP
from journeys import journey, must
from people import APP_ID

# Types that nobody sends: folders, devices and discs are not files.
NO_FILES = ('inode/', 'x-content/', 'x-epoc/', 'multipart/', 'x-scheme-handler/')


def install(destination):
    subprocess.run(['meson', 'install', '-C', str(TOP / 'build/release'), '--no-rebuild', '--quiet'],
                   env=dict(os.environ, DESTDIR=str(destination)), check=True, capture_output=True)
    return Path(destination, 'usr/local/share')


def mime_lists():
    """(all types of the machine's shared-mime-info, type -> its parents)"""
    folder = Path('/usr/share/mime')
    parents = {}
    for line in (folder / 'subclasses').read_text(encoding='ascii').splitlines():
        child, parent = line.split()
        parents.setdefault(child, []).append(parent)
    return (folder / 'types').read_text(encoding='ascii').split(), parents


@journey
def desktop_entry(desktop):
    """Any file can be opened with it, nothing else; its icons and its D-Bus service are installed."""
    with tempfile.TemporaryDirectory() as destination:
        share = install(destination)
        entry = configparser.ConfigParser(interpolation=None, delimiters='=')
        entry.optionxform = str
        entry.read(share / 'applications' / f'{APP_ID}.desktop', encoding='utf-8')
        values = entry['Desktop Entry']
        claimed = set(values['MimeType'].strip(';').split(';'))
        must('x-scheme-handler/porthole' in claimed, 'porthole: addresses are not claimed')

        types, parents = mime_lists()

        def offered(kind, depth=0):
            return kind in claimed or kind.startswith('text/') and 'text/plain' in claimed or depth < 8 and any(
                offered(parent, depth + 1) for parent in parents.get(kind, ()))

        for kind in types:
            if kind.startswith(NO_FILES):
                must(kind not in claimed, f'{kind} is claimed')
            else:
                must(offered(kind), f'{kind} is not offered Porthole: add it to data/mime-types')
        for path in (f'icons/hicolor/scalable/apps/{APP_ID}.svg', f'icons/hicolor/symbolic/apps/{APP_ID}-symbolic.svg',
                     f'metainfo/{APP_ID}.metainfo.xml'):
            must((share / path).is_file(), f'{path} is not installed')
        service = (share / f'dbus-1/services/{APP_ID}.service').read_text(encoding='utf-8')
        provider = configparser.ConfigParser(interpolation=None)
        provider.optionxform = str
        provider.read(share / f'gnome-shell/search-providers/{APP_ID}.search-provider.ini', encoding='utf-8')
        must(dict(provider['Shell Search Provider']) == {
            'DesktopId': f'{APP_ID}.desktop', 'BusName': APP_ID, 'Version': '2',
            'ObjectPath': '/' + APP_ID.replace('.', '/') + '/SearchProvider'}, 'the desktop cannot search in it')
        must(values['DBusActivatable'] == 'true' and f'Name={APP_ID}\n' in service, 'D-Bus cannot start it')
