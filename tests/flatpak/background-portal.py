#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The half of the background portal that a desktop brings along and GTK's portals lack: background-portal.py FD

Nothing is asked of it, but without it there is no such portal. A line goes to FD when it is ready."""

import os
import sys

from gi.repository import Gio, GLib

INTERFACE = Gio.DBusNodeInfo.new_for_xml('''<node><interface name="org.freedesktop.impl.portal.Background">
  <method name="GetAppState"><arg type="a{sv}" direction="out"/></method>
  <signal name="RunningApplicationsChanged"/>
</interface></node>''').interfaces[0]


def called(_bus, _sender, _object, _interface, _method, _parameters, invocation):
    invocation.return_value(GLib.Variant('(a{sv})', ({},)))


def connected(bus, _name):
    bus.register_object('/org/freedesktop/portal/desktop', INTERFACE, called, None, None)


Gio.bus_own_name(Gio.BusType.SESSION, 'org.porthole.TestPortal', Gio.BusNameOwnerFlags.NONE, connected,
                 lambda *_: os.write(int(sys.argv[1]), b'ready\n'), None)
GLib.MainLoop().run()
