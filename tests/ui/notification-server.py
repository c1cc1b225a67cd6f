#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes notifications in the place of the shell: notification-server.py FILE FD

Each one is a JSON line in FILE; one that is taken back is a line with null. A line goes to FD when it is
ready: programs choose between ways to notify when they send their first one."""

import json
import os
import sys

from gi.repository import Gio, GLib

INTERFACE = Gio.DBusNodeInfo.new_for_xml('''<node><interface name="org.gtk.Notifications">
  <method name="AddNotification">
    <arg type="s" direction="in"/><arg type="s" direction="in"/><arg type="a{sv}" direction="in"/>
  </method>
  <method name="RemoveNotification"><arg type="s" direction="in"/><arg type="s" direction="in"/></method>
</interface></node>''').interfaces[0]


def main(path, ready):
    with open(path, 'w', encoding='utf-8') as log:

        def called(_bus, _sender, _object, _interface, _method, parameters, invocation):
            app_id, identifier, *rest = parameters.unpack()
            notification = rest[0] if rest else None
            log.write(json.dumps({'app_id': app_id, 'id': identifier, 'notification': notification}, default=str) + '\n')
            log.flush()
            invocation.return_value(None)

        def acquired(_bus, _name):
            os.write(int(ready), b'ready\n')

        def connected(bus, _name):
            bus.register_object('/org/gtk/Notifications', INTERFACE, called, None, None)

        Gio.bus_own_name(Gio.BusType.SESSION, 'org.gtk.Notifications', Gio.BusNameOwnerFlags.NONE, connected, acquired,
                         None)
        GLib.MainLoop().run()


main(*sys.argv[1:])
