#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file manager that only notes what it is asked to show: file-manager.py FILE

org.freedesktop.FileManager1, as desktops have it; each call is a JSON line in FILE, which is there when it is ready."""

import json
import sys
from pathlib import Path

from gi.repository import Gio, GLib

NAME = 'org.freedesktop.FileManager1'
METHODS = ('ShowItems', 'ShowFolders', 'ShowItemProperties')
ARGUMENTS = '<arg type="as" direction="in"/><arg type="s" direction="in"/>'
INTERFACE = Gio.DBusNodeInfo.new_for_xml('<node><interface name="{}">{}</interface></node>'.format(
    NAME, ''.join(f'<method name="{method}">{ARGUMENTS}</method>' for method in METHODS))).interfaces[0]


def main(path):
    def called(_bus, _sender, _object, _interface, method, parameters, invocation):
        with open(path, 'a', encoding='utf-8') as log:
            log.write(json.dumps({'method': method, 'uris': parameters.unpack()[0]}) + '\n')
        invocation.return_value(None)

    Gio.bus_own_name(Gio.BusType.SESSION, NAME, Gio.BusNameOwnerFlags.NONE,
                     lambda bus, _: bus.register_object('/org/freedesktop/FileManager1', INTERFACE, called, None, None),
                     lambda *_: Path(path).touch(), None)
    GLib.MainLoop().run()


main(*sys.argv[1:])
