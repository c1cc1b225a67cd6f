#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""./run demo on a desktop: two windows of two people who know each other, ready for a drag.

Each runs behind a NAT of its own, as in the demo without a display; the servers are between them.
Ends when both windows are closed."""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path[:0] = [str(Path(__file__).resolve().parent.parent / 'lab')]

from network import LabError, Network  # noqa: E402
from programs import TOP, Lab, Program, missing_programs  # noqa: E402

PORTHOLE = TOP / 'build/release/app/gtk/porthole'
NAMES = ('Laptop', 'Desk')
# What the windows need of the display that this runs on.
DISPLAY = ('DISPLAY', 'WAYLAND_DISPLAY', 'XAUTHORITY', 'XDG_RUNTIME_DIR', 'DBUS_SESSION_BUS_ADDRESS')


def open_window(lab, person):
    env = {**person.env, **{key: os.environ[key] for key in DISPLAY if key in os.environ},
           'LC_ALL': os.environ.get('LC_ALL', '')}
    Path(person.env['HOME'], 'Downloads').mkdir(exist_ok=True)
    return Program(lab, f'{person.name}-porthole', person.host, [PORTHOLE, '--profile', person.profile], env=env)


def main():
    parser = argparse.ArgumentParser(prog='./run demo')
    parser.add_argument('--size', type=int, metavar='BYTES', help='only with --headless: here you choose the files')
    parser.parse_args()
    if missing_programs():
        raise LabError(f'not there yet: {", ".join(missing_programs())}')
    with Lab(Network('port-restricted', 'address-restricted'), work=tempfile.gettempdir()) as lab:
        lab.set_up()
        for person, name in zip((lab.left, lab.right), NAMES):
            person.do('config', 'set', 'name', name)
            person.do('config', 'set', 'download-dir', str(person.inbox))
        for person, name in zip((lab.left, lab.right), reversed(NAMES)):
            person.do('rename', person.contact, name)
        windows = [open_window(lab, person) for person in (lab.left, lab.right)]
        print('Two windows: Laptop and Desk. Drag a file from your file manager onto the person in either\n'
              'window and accept it in the other. Each is behind a NAT of its own; what arrives is in\n'
              f'  {lab.left.inbox}\n  {lab.right.inbox}\n'
              'and all of it is gone when both windows are closed.', flush=True)
        while any(window.process.poll() is None for window in windows):
            time.sleep(0.2)
        failed = [window for window in windows if window.process.returncode]
        if failed:
            raise LabError(f'{failed[0].name} ended with status {failed[0].process.returncode}\n' + lab.log_tails())


if __name__ == '__main__':
    try:
        main()
    except LabError as error:
        sys.exit(f'demo: {error}')
    except KeyboardInterrupt:
        sys.exit(130)
