# SPDX-License-Identifier: GPL-3.0-or-later
"""Responsiveness: how long the main loop is busy at a time while a transfer runs as fast as it can."""

import json
import os
import signal

from gi.repository import GLib

from desktop import wait_for
from drags import drop, received
from journeys import household, journey, must
from trees import write_random

FILE_BYTES = 1_200_000_000  # some seconds at full speed
MEASURED_SHARE = 0.9  # of the transfer: it is to run while it is measured
TURN_P99_MS_MAX = 16  # a frame of a 60 Hz screen


def loop_times(window, path):
    """What PORTHOLE_LOOP_TIMES has measured since the last time it was asked."""
    path.unlink(missing_ok=True)
    os.kill(window.pid, signal.SIGUSR1)
    wait_for('the times of the main loop', path.exists)
    return json.loads(path.read_text(encoding='utf-8'))


def share(bar):
    """How far a progress bar is, 0 to 1; 1 for one that has gone."""
    try:
        value = bar.get_value_iface()
        return value.get_current_value() / (value.get_maximum_value() or 1)
    except (AttributeError, GLib.Error):
        return 1


@journey
def responsive(desktop):
    """At full speed the windows of both sides answer at once: 99 of 100 turns of the main loop take less
    than a frame."""
    with household(desktop, 'responsive') as home:
        home.introduce()
        big = home.lab.work / 'Big.bin'
        write_random(big, FILE_BYTES)
        windows, times = [], {}
        for person in (home.left, home.right):
            times[person.name] = home.lab.work / f'{person.name}-times.json'
            windows.append(home.open(person, env={'PORTHOLE_LOOP_TIMES': str(times[person.name])}))
        left, right = windows
        drop(left, home, [big], left.wait('Desk', 'list item'))
        left.click(left.wait('Desk', 'list item'))
        right.click(right.wait('Laptop', 'list item'))
        right.press('Accept', 'button', seconds=60)
        bar = right.wait(role='progress bar')
        left.wait(role='progress bar')
        for window in windows:  # from here on
            loop_times(window, times[window.label])
        wait_for('most of it', lambda: share(bar) > MEASURED_SHARE, 120)
        measured = {window.label: loop_times(window, times[window.label]) for window in windows}
        lines = []
        received(home.right, big)
        for label, values in measured.items():
            lines.append('{}: {turns} turns, 99 % under {turn_p99_ms:.1f} ms, longest {turn_max_ms:.1f} ms; {frames} frames, '
                         '99 % under {frame_p99_ms:.1f} ms, longest {frame_max_ms:.1f} ms'.format(label, **values))
        text = '\n'.join(lines)
        for values in measured.values():
            must(values['turns'] > 50 and values['frames'] > 10, f'hardly anything was measured: {text}')
            must(values['turn_p99_ms'] < TURN_P99_MS_MAX, text)
        return text
