# SPDX-License-Identifier: GPL-3.0-or-later
"""Responsiveness: how long the main loop is busy at a time while a transfer runs as fast as it can.

A turn is measured by two clocks. The processor's counts what the turn has computed: no load of the machine adds to
it, so it is judged always. The wall's also sees what a turn has waited for, on a disk, a lock or a server; other
programs that run meanwhile delay those as well, so it is judged only where the thread had the processor nearly
whenever it wanted it. (The time in which it wanted and did not have it is told by the kernel, and taken off.)

The beginning and the end of the transfer are measured apart from its run, which is long enough to hide them. While
they last this test looks at the windows, and its questions are turns as well: there the longest says most."""

import json
import os
import signal

from gi.repository import GLib

from desktop import wait_for
from drags import drop, received
from journeys import household, journey, must
from trees import write_random

FILE_BYTES = 1_200_000_000  # some seconds at full speed
RUNNING_SHARE = 0.9  # of the transfer: what follows is its end
TURN_P99_MS_MAX = 16  # a frame of a 60 Hz screen
WAITED_SHARE_MAX = 0.1  # of the time of all turns: on a busier machine the wall clock says nothing


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


def waited_share(values):
    return values['waited_ms'] / max(values['spent_ms'], 1)


def describe(label, values):
    return ('{}: {turns} turns, 99 % under {turn_cpu_p99_ms:.1f} ms, longest {turn_cpu_max_ms:.1f} ms; by the wall {turn_p99_ms:.1f} '
            'and {turn_max_ms:.1f} ms, {waited:.0%} waited for the processor; {frames} frames, 99 % under {frame_p99_ms:.1f} ms, '
            'longest {frame_max_ms:.1f} ms').format(label, waited=waited_share(values), **values)


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
        left.click(left.wait('Desk', 'list item'))
        right.click(right.wait('Laptop', 'list item'))
        measured = {}

        def measure(phase):
            """What has happened since the last time."""
            for window in windows:
                measured[f'{window.label}, {phase}'] = loop_times(window, times[window.label])

        measure('start')
        drop(left, home, [big], left.wait('Desk', 'list item'))
        right.press('Accept', 'button', seconds=60)
        bar = right.wait(role='progress bar')
        left.wait(role='progress bar')
        measure('begins')
        wait_for('most of it', lambda: share(bar) > RUNNING_SHARE, 120)
        measure('runs')
        received(home.right, big)
        left.wait_text('Delivered', 60)
        right.wait_text('Received')
        measure('ends')
        measured = {label: values for label, values in measured.items() if not label.endswith('start')}
        text = '\n'.join(describe(*each) for each in measured.items())
        for label, values in measured.items():
            must(values['turns'] > 20, f'hardly anything was measured: {text}')
            must(values['turn_cpu_p99_ms'] < TURN_P99_MS_MAX, text)
            must(waited_share(values) > WAITED_SHARE_MAX or values['turn_p99_ms'] < TURN_P99_MS_MAX, text)
        return text
