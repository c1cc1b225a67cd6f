#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small window from which files can be dragged: drag-source.py FILE...

A program of its own, so that what is dropped comes from another process, as from a file manager. It ends
with the drag, once the other program has taken the files (status 0) or refused them (status 1)."""

import sys

import gi
gi.require_version('Gtk', '4.0')
gi.require_version('Gdk', '4.0')
from gi.repository import Gdk, Gio, GLib, GObject, Gtk  # noqa: E402


def main(paths):
    files = [Gio.File.new_for_commandline_arg(path) for path in paths]
    content = GObject.Value(Gdk.FileList, Gdk.FileList.new_from_list(files))
    source = Gtk.DragSource(actions=Gdk.DragAction.COPY)
    refused = []
    source.connect('prepare', lambda *_: Gdk.ContentProvider.new_for_value(content))
    source.connect('drag-cancel', lambda *_: refused.append(True))
    label = Gtk.Label(label='Drag me')
    label.add_controller(source)
    window = Gtk.Window(title='Drag source', child=label, default_width=220, default_height=160)
    loop = GLib.MainLoop()
    source.connect('drag-end', lambda *_: loop.quit())
    window.present()
    loop.run()
    return 1 if refused else 0


sys.exit(main(sys.argv[1:]))
