# SPDX-License-Identifier: GPL-3.0-or-later
"""Sees a program's windows as a screen reader does, and acts on them as a person does.

What cannot be found here cannot be found by somebody who does not see the screen either: tests look for
roles and names only, in English (the C locale)."""

import contextlib
import re

from desktop import wait_for
from network import LabError

import gi
gi.require_version('Atspi', '2.0')
from gi.repository import Atspi, GLib  # noqa: E402

TREE_NODES_MAX = 5000  # of one window; a walk that goes on is a cycle
TABS_MAX = 40
WHEEL_TURNS_MAX = 40
# Roles that GTK names by pointing at another widget, which itself is not in the tree.
LABELLED = {'menu item', 'check menu item', 'radio menu item', 'entry', 'text', 'password text', 'switch', 'spin button',
            'button', 'toggle button', 'list item'}


class Pilot:
    """Drives one process. `scale` of everything is pixels of the desktop."""

    def __init__(self, desktop, pid, label):
        self.desktop = desktop
        self.pid = pid
        self.label = label
        self.root = wait_for(f'{label}: a window that a screen reader sees', self._find_root, 60)

    def _find_root(self):
        desktop = Atspi.get_desktop(0)
        desktop.clear_cache()
        for index in range(desktop.get_child_count()):
            try:
                child = desktop.get_child_at_index(index)
                if child and child.get_process_id() == self.pid and child.get_child_count():
                    child.set_cache_mask(Atspi.Cache.NONE)
                    return child
            except GLib.Error:
                continue  # one that has just gone
        return None

    def frames(self, title):
        """Its windows with this title, as a screen reader sees them."""
        try:
            windows = [self.root.get_child_at_index(index) for index in range(self.root.get_child_count())]
        except GLib.Error:
            return []  # it has just ended
        return [window for window in windows if window and self.name(window) == title]

    # --- Looking -------------------------------------------------------------------------------------

    def nodes(self, within=None, shuffle=lambda children: None):
        """Everything that is shown, depth first; `shuffle` may change the order of siblings."""
        pending, seen = [within or self.root], 0
        while pending:
            node = pending.pop()
            seen += 1
            if seen > TREE_NODES_MAX:
                raise LabError(f'{self.label}: the tree of widgets has no end')
            try:
                if node is not self.root and not self._showing(node):
                    continue
                children = [node.get_child_at_index(index) for index in range(node.get_child_count())]
            except GLib.Error:
                continue  # it went while we looked
            yield node
            shuffle(children)
            pending.extend(child for child in reversed(children) if child)

    @staticmethod
    def _showing(node):
        states = node.get_state_set()
        return states.contains(Atspi.StateType.SHOWING) or node.get_role() == Atspi.Role.FRAME

    def name(self, node):
        try:
            return node.get_name() or (self._label(node) if self.role(node) in LABELLED else '')
        except GLib.Error:
            return ''

    @staticmethod
    def _label(node):
        for relation in node.get_relation_set():
            if relation.get_relation_type() == Atspi.RelationType.LABELLED_BY and relation.get_n_targets():
                target = relation.get_target(0)
                return target.get_name() or text_of(target)
        return ''

    @staticmethod
    def role(node):
        try:
            return node.get_role_name()
        except GLib.Error:
            return ''

    def find(self, name=None, role=None, within=None):
        """The first node whose name matches (a string: all of it; a compiled pattern: somewhere), or None."""
        for node in self.nodes(within):
            if role is not None and self.role(node) != role:
                continue
            text = self.name(node)
            if name is None or (name.search(text) if isinstance(name, re.Pattern) else text == name):
                return node
        return None

    def wait(self, name=None, role=None, within=None, seconds=30):
        wanted = ' '.join(str(part) for part in (role, getattr(name, 'pattern', name)) if part)
        try:
            return wait_for(f'{self.label}: {wanted}', lambda: self.find(name, role, within), seconds)
        except LabError as error:
            raise LabError(f'{error}; on the screen:\n{self.describe()}') from None

    def wait_gone(self, name=None, role=None, seconds=30):
        wait_for(f'{self.label}: {name or role} goes away', lambda: not self.find(name, role), seconds)

    def sees(self, text):
        """Whether a text is on the screen, as part of anything."""
        return self.find(re.compile(re.escape(text))) is not None

    def wait_text(self, text, seconds=30):
        return self.wait(text if isinstance(text, re.Pattern) else re.compile(re.escape(text)), seconds=seconds)

    def describe(self):
        """The tree as text, for a person who looks at a failure."""
        lines = []
        for node in self.nodes():
            depth, parent = 0, node
            try:
                while parent and parent != self.root and depth < 30:
                    parent = parent.get_parent()
                    depth += 1
            except GLib.Error:
                pass
            if self.name(node):
                lines.append(f'{"  " * depth}{self.role(node)}: {self.name(node)!r}')
        return '\n'.join(lines)

    # --- Acting --------------------------------------------------------------------------------------

    def window(self):
        windows = self.desktop.windows(self.pid)
        if not windows:
            raise LabError(f'{self.label} has no window')
        return windows[0]

    def box(self, node):
        """(x, y, width, height) of a node on the screen."""
        left, top, _, _ = self.desktop.geometry(self.window())
        component = node.get_component_iface()
        if component is None:
            raise LabError(f'{self.label}: {self.name(node)!r} is gone')
        extents = component.get_extents(Atspi.CoordType.WINDOW)
        return left + extents.x, top + extents.y, extents.width, extents.height

    def centre(self, node):
        x, y, width, height = self.box(node)
        return round(x + width / 2), round(y + height / 2)

    def click(self, node, button=1):
        self.desktop.click(*self.reveal(node), button)

    def reveal(self, node):
        """Turns the wheel until the middle of it is to be seen, and returns that. At the edge of what scrolls, where
        nothing else takes the wheel."""
        pane = node
        while self.role(pane) not in ('scroll pane', 'frame'):
            pane = pane.get_parent()
        left, top, _, height = self.box(pane)
        for _ in range(WHEEL_TURNS_MAX):
            x, y = self.centre(node)
            if self.role(pane) == 'frame' or top <= y < top + height:
                return x, y
            self.desktop.click(left + 10, round(top + height / 2), 5 if y > top else 4)
        raise LabError(f'{self.label}: {self.name(node)!r} cannot be scrolled to')

    def press(self, name, role=None, seconds=30, within=None):
        """Waits for a button (or whatever has that name) and activates it as a screen reader would."""
        node = self.wait(name, role, within, seconds)
        self.activate(node)
        return node

    def activate(self, node):
        action = node.get_action_iface()
        if action is None or action.get_n_actions() == 0 or not action.do_action(0):
            self.click(node)

    def can_act(self, node):
        """Whether there is something to activate."""
        try:
            action = node.get_action_iface()
            states = node.get_state_set()
            return action is not None and action.get_n_actions() > 0 and all(
                states.contains(each) for each in (Atspi.StateType.SENSITIVE, Atspi.StateType.VISIBLE))
        except GLib.Error:
            return False

    def act(self, node):
        """As `activate`, whether or not the node is still there."""
        try:
            self.activate(node)
        except GLib.Error:
            pass

    def type_into(self, node, text):
        """Replaces what is in an entry, by mouse and keys."""
        self.click(node)
        wait_for(f'{self.label}: focus', lambda: self.has_focus(node), 10)
        self.desktop.key('ctrl+a')
        self.desktop.type(text)

    @staticmethod
    def set_value(node, value):
        """Of a spin button, as a screen reader sets it."""
        node.get_value_iface().set_current_value(value)

    def tab_to(self, name, role=None):
        """Goes there by the Tab key, as somebody without a mouse does; it must not take long."""
        node = self.wait(name, role)
        self.focus()
        for _ in range(TABS_MAX):
            if self.has_focus(node):
                return node
            self.desktop.key('Tab')
        raise LabError(f'{self.label}: {name} cannot be reached by {TABS_MAX} presses of Tab')

    def has_focus(self, node):
        """It, or something in it."""
        return any(each.get_state_set().contains(Atspi.StateType.FOCUSED) for each in self.nodes(node))

    def selected_text(self, within=None):
        """What is selected in any entry or label."""
        found = []
        for node in self.nodes(within):
            with contextlib.suppress(GLib.Error):
                text = node.get_text_iface()
                for number in range(Atspi.Text.get_n_selections(text) if text else 0):
                    chosen = Atspi.Text.get_selection(text, number)
                    found.append(Atspi.Text.get_text(text, chosen.start_offset, chosen.end_offset))
        return ''.join(found)

    def focus(self):
        """Gives the window the keyboard."""
        self.desktop.xdotool('windowactivate', '--sync', self.window())


def text_of(node):
    """What stands in an entry or label."""
    text = node.get_text_iface()
    return Atspi.Text.get_text(text, 0, Atspi.Text.get_character_count(text)) if text else ''


