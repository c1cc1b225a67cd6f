#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small window from which files can be dragged: drag-source.py FILE...

A program of its own, so that what is dropped comes from another process, as from a file manager."""

import sys

import gi
gi.require_version('Gtk', '4.0')
gi.require_version('Gdk', '4.0')
from gi.repository import Gdk, Gio, GLib, GObject, Gtk  # noqa: E402


def main(paths):
    files = [Gio.File.new_for_commandline_arg(path) for path in paths]
    content = GObject.Value(Gdk.FileList, Gdk.FileList.new_from_list(files))
    source = Gtk.DragSource(actions=Gdk.DragAction.COPY)
    source.connect('prepare', lambda *_: Gdk.ContentProvider.new_for_value(content))
    label = Gtk.Label(label='Drag me')
    label.add_controller(source)
    window = Gtk.Window(title='Drag source', child=label, default_width=220, default_height=160)
    loop = GLib.MainLoop()
    window.connect('close-request', lambda *_: loop.quit())
    window.present()
    loop.run()


main(sys.argv[1:])
