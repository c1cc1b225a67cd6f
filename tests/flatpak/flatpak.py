#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The suite `flatpak`: the installed Flatpak, as a person has it. flatpak.py [--json] [STEP...]

Started by `./run test flatpak`, which gives the runtime's folder in PORTHOLE_RUNTIME. Every program runs in the
lab's network namespaces, the sandboxed ones too. A step that fails leaves a picture in build/flatpak."""

import argparse
import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
TOP = HERE.parent.parent
sys.path[:0] = [str(TOP / 'tests/ui'), str(TOP / 'tests/lab')]

from desktop import Desktop, wait_for  # noqa: E402
from network import LabError  # noqa: E402
from programs import Program  # noqa: E402
from trees import compare, write_random  # noqa: E402
from ui import run_one  # noqa: E402

APP_ID = 'org.porthole.Porthole'
OUT = TOP / 'build/flatpak'
# What the manifest builds because the runtime lacks it.
OWN_LIBRARIES = ('libngtcp2.so', 'libngtcp2_crypto_gnutls.so', 'libsodium.so', 'libqrencode.so', 'libminiupnpc.so')
PERMISSIONS = {
    'Context': {'shared': {'network', 'ipc'}, 'sockets': {'x11', 'wayland', 'fallback-x11'}, 'devices': {'dri'},
                'filesystems': {'xdg-download'}},
}
STEPS = []


def step(function):
    """Registers a step: called with the desktop, it raises when something is not as it should be."""
    STEPS.append((function.__name__.replace('_', '-'), function))
    return function


def must(condition, text):
    if not condition:
        raise LabError(text)


def run(*argv, **options):
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120, **options)
    must(done.returncode == 0, f'{" ".join(str(word) for word in argv)}: status {done.returncode}: {done.stdout[-2000:]}{done.stderr[-2000:]}')
    return done.stdout


# --- Without a window ------------------------------------------------------------------------------

@step
def builds_and_installs(_):
    """The manifest builds offline from upstream's archives and what comes out is installed and packed."""
    done = subprocess.run([TOP / 'flatpak/build.sh', 'stand-in', os.environ['PORTHOLE_RUNTIME'], OUT],
                          capture_output=True, text=True, check=False)
    must(done.returncode == 0, f'build.sh: {done.stdout[-3000:]}{done.stderr[-3000:]}')
    for name in (f'{APP_ID}.flatpak', f'{APP_ID}.flatpakref', 'repo/summary'):
        must((OUT / name).is_file(), f'build/flatpak/{name} was not made')


@step
def brings_its_libraries(_):
    """What the runtime lacks comes from the Flatpak itself, not from something that happened to be there."""
    listed = run('flatpak', 'run', '--command=ldd', APP_ID, '/app/bin/porthole')
    for library in OWN_LIBRARIES:
        line = next((line for line in listed.splitlines() if library in line), '')
        must('/app/lib/' in line, f'{library} is not from /app/lib: {line.strip() or "not used at all"}')
    must('not found' not in listed, listed)


@step
def asks_for_little(_):
    """Its permissions are these and no others: no home folder, no system bus, no device but the display's."""
    found = {}
    section = None
    for line in run('flatpak', 'info', '--show-permissions', APP_ID).splitlines():
        if line.startswith('['):
            section = found.setdefault(line.strip('[]'), {})
        elif '=' in line:
            key, value = line.split('=', 1)
            section[key] = {word for word in value.split(';') if word}
    must(found == PERMISSIONS, f'its permissions are {found}')


# --- With a window ---------------------------------------------------------------------------------

def sandboxed(home, person, *words, command=None):
    """Starts a program of the Flatpak for a person, in the network namespace of the person's host."""
    downloads = Path(person.env['HOME'], 'Downloads')
    downloads.mkdir(exist_ok=True)
    config = Path(person.env['XDG_CONFIG_HOME'])
    config.mkdir(parents=True, exist_ok=True)
    (config / 'user-dirs.dirs').write_text('XDG_DOWNLOAD_DIR="$HOME/Downloads"\n')
    environment = home.environment(person)
    for name in ('GTK_USE_PORTAL', 'GDK_DEBUG', 'ADW_DISABLE_PORTAL', 'XDG_DATA_HOME', 'XDG_CACHE_HOME'):
        environment.pop(name, None)
    # Where the portals of the session's bus look for it.
    environment['XDG_RUNTIME_DIR'] = os.environ['PORTHOLE_RUNTIME_DIR']
    argv = ['env', '-i', *(f'{key}={value}' for key, value in environment.items()),
            'flatpak', 'run', *([f'--command={command}'] if command else []), APP_ID, *words]
    return Program(home.lab, f'{person.name}-flatpak', person.host, argv)


@contextlib.contextmanager
def household(desktop, name):
    from people import Household
    with Household(desktop) as home:
        try:
            yield home
        except Exception as error:
            with contextlib.suppress(Exception):
                error.picture = desktop.picture(OUT / f'failed-{name}.png')
            raise


@step
def sends_and_receives(desktop):
    """A Flatpak and a Porthole outside of any sandbox become contacts; files go both ways, through both NATs."""
    with household(desktop, 'sends-and-receives') as home:
        left, right = home.left, home.right
        downloads = Path(left.env['HOME'], 'Downloads')
        sandboxed(home, left, 'config', 'set', 'name', 'Laptop', command='porthole-cli').expect_exit(0, 60)
        sandboxed(home, left, 'config', 'set', 'rendezvous', home.lab.rendezvous, command='porthole-cli').expect_exit(0, 60)
        inviting = sandboxed(home, left, '--json', 'invite', '--name', 'Desk', command='porthole-cli')
        link = inviting.wait_event('invitation', 60)['link']
        right.do('add', '-', '--name', 'Laptop', text=link + '\n', timeout=60)
        inviting.expect_exit(0, 60)

        sent = downloads / 'to send.bin'
        write_random(sent, 3_000_000)
        receiver = right.receive()
        sandboxed(home, left, 'send', 'Desk', sent, '--timeout', '60', command='porthole-cli').expect_exit(0, 90)
        receiver.expect_exit(0, 30)
        compare(sent, right.inbox / sent.name)

        back = right.inbox / 'back.bin'
        write_random(back, 3_000_000)
        receiver = sandboxed(home, left, 'receive', '--accept', '--count', '1', command='porthole-cli')
        right.do('send', 'Laptop', back, '--timeout', '60', timeout=90)
        receiver.expect_exit(0, 30)
        compare(back, downloads / back.name)

        # What a confined program cannot see is told, not sent as nothing.
        hidden = Path(left.env['HOME'], 'hidden.bin')
        hidden.write_bytes(b'not to be seen')
        refused = sandboxed(home, left, '--json', 'send', 'Desk', hidden, command='porthole-cli')
        refused.expect_exit(1, 60)
        must(refused.last_event('failed')['code'] == 'files', f'it says {refused.last_event("failed")}')


@step
def opens_its_window(desktop):
    """The window opens in its sandbox, and a screen reader sees the first page."""
    with household(desktop, 'opens-its-window') as home:
        from pilot import Pilot
        program = sandboxed(home, home.left)
        window = wait_for('a window', lambda: window_named(desktop, 'Porthole'), 60)
        desktop.place(window, 20, 40, 1000, 700)
        pid = wait_for('an accessible window', lambda: accessible_pid(), 60)
        pilot = Pilot(desktop, pid, 'flatpak')
        names = {pilot.name(node) for node in pilot.nodes()}
        must(any('Porthole' in name for name in names), f'what a screen reader sees: {sorted(names)[:40]}')
        desktop.settled_picture(OUT / 'window.png', window)
        run('flatpak', 'kill', APP_ID, env=dict(os.environ, XDG_RUNTIME_DIR=os.environ['PORTHOLE_RUNTIME_DIR']))
        program.wait_exit(30)


def window_named(desktop, text):
    found = desktop.xdotool('search', '--onlyvisible', '--name', text).split()
    return found[0] if found else None


def accessible_pid():
    """In its sandbox the program has another number than outside: the one that the accessibility bus knows."""
    from pilot import Atspi
    root = Atspi.get_desktop(0)
    root.clear_cache()
    for index in range(root.get_child_count()):
        child = root.get_child_at_index(index)
        if child and child.get_child_count() and 'orthole' in (child.get_name() or ''):
            return child.get_process_id()
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--json', action='store_true', help='one object a line')
    parser.add_argument('steps', nargs='*')
    arguments = parser.parse_args()
    if 'PORTHOLE_RUNTIME' not in os.environ or 'FLATPAK_USER_DIR' not in os.environ:
        sys.exit('the Flatpak is tested with ./run test flatpak')
    OUT.mkdir(parents=True, exist_ok=True)
    os.environ['PORTHOLE_RUNTIME_DIR'] = os.environ['XDG_RUNTIME_DIR']  # the desktop has one of its own
    failed = 0
    with Desktop() as desktop:
        from people import own_networks_only
        own_networks_only()
        for name, function in STEPS:
            if arguments.steps and name not in arguments.steps:
                continue
            outcome = run_one(desktop, name, function)
            failed += outcome['result'] == 'fail'
            if arguments.json:
                print(json.dumps(outcome), flush=True)
            else:
                print(f'{outcome["result"]:<5} {name} ({outcome["seconds"]} s)\n{outcome["log"]}'.rstrip(), flush=True)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
