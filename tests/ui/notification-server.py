#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes notifications in the place of the shell: notification-server.py FILE FD

From programs (org.gtk.Notifications) and from GTK's portal (org.freedesktop.Notifications), in whose actions the target
follows `::`; its method Press stands for a person's finger. Each one is a JSON line in FILE; one that is taken back is a line with null. A line goes to FD when it is
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
OLD_INTERFACE = Gio.DBusNodeInfo.new_for_xml('''<node><interface name="org.freedesktop.Notifications">
  <method name="Notify">
    <arg type="s" direction="in"/><arg type="u" direction="in"/><arg type="s" direction="in"/><arg type="s" direction="in"/>
    <arg type="s" direction="in"/><arg type="as" direction="in"/><arg type="a{sv}" direction="in"/>
    <arg type="i" direction="in"/><arg type="u" direction="out"/>
  </method>
  <method name="CloseNotification"><arg type="u" direction="in"/></method>
  <method name="GetCapabilities"><arg type="as" direction="out"/></method>
  <method name="GetServerInformation">
    <arg type="s" direction="out"/><arg type="s" direction="out"/><arg type="s" direction="out"/>
    <arg type="s" direction="out"/>
  </method>
  <signal name="ActionInvoked"><arg type="u"/><arg type="s"/></signal>
  <method name="Press"><arg type="u" direction="in"/><arg type="s" direction="in"/></method>
</interface></node>''').interfaces[0]


def main(path, ready):
    owners = {}  # number -> application of what the portal shows
    acquired = []
    with open(path, 'w', encoding='utf-8') as log:

        def note(app_id, identifier, notification):
            log.write(json.dumps({'app_id': app_id, 'id': identifier, 'notification': notification}, default=str) + '\n')
            log.flush()

        def called(_bus, _sender, _object, _interface, _method, parameters, invocation):
            app_id, identifier, *rest = parameters.unpack()
            note(app_id, identifier, rest[0] if rest else None)
            invocation.return_value(None)

        def called_old(bus, _sender, path, interface, method, parameters, invocation):
            if method == 'Notify':
                name, number, _icon, title, body, actions, hints, _timeout = parameters.unpack()
                number = number or len(owners) + 1
                owners[number] = hints.get('desktop-entry', name)
                buttons = [{'action': action, 'label': label} for action, label in zip(actions[::2], actions[1::2])]
                note(owners[number], str(number), {'title': title, 'body': body, 'buttons': buttons})
                invocation.return_value(GLib.Variant('(u)', (number,)))
            elif method == 'CloseNotification':
                number, = parameters.unpack()
                note(owners.get(number), str(number), None)
                invocation.return_value(None)
            elif method == 'Press':
                bus.emit_signal(None, path, interface, 'ActionInvoked', parameters)
                invocation.return_value(None)
            elif method == 'GetCapabilities':
                invocation.return_value(GLib.Variant('(as)', (['actions', 'body'],)))
            else:
                invocation.return_value(GLib.Variant('(ssss)', ('test', 'porthole', '1', '1.2')))

        def own(name, path, interface, function):
            def have(_bus, name):
                acquired.append(name)
                if len(acquired) == 2:
                    os.write(int(ready), b'ready\n')

            Gio.bus_own_name(Gio.BusType.SESSION, name, Gio.BusNameOwnerFlags.NONE,
                             lambda bus, _: bus.register_object(path, interface, function, None, None), have, None)

        own('org.gtk.Notifications', '/org/gtk/Notifications', INTERFACE, called)
        own('org.freedesktop.Notifications', '/org/freedesktop/Notifications', OLD_INTERFACE, called_old)
        GLib.MainLoop().run()


main(*sys.argv[1:])
