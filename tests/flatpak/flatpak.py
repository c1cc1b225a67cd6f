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
from network import LabError, within  # noqa: E402
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


@step
def exports_what_the_desktop_needs(_):
    """The desktop sees its entry, icons, description and search, and the session bus can start it, for notifications too."""
    share = Path(os.environ['FLATPAK_USER_DIR'], 'exports/share')
    for name in (f'applications/{APP_ID}.desktop', f'icons/hicolor/scalable/apps/{APP_ID}.svg',
                 f'icons/hicolor/symbolic/apps/{APP_ID}-symbolic.svg', f'metainfo/{APP_ID}.metainfo.xml'):
        must((share / name).is_file(), f'{name} is not exported')
    service = (share / f'dbus-1/services/{APP_ID}.service').read_text(encoding='utf-8')
    must(f'Name={APP_ID}\n' in service and 'flatpak run' in service and '--gapplication-service' in service, service)
    provider = (share / f'gnome-shell/search-providers/{APP_ID}.search-provider.ini').read_text(encoding='utf-8')
    must(f'BusName={APP_ID}\n' in provider and 'ObjectPath=/org/porthole/Porthole/SearchProvider\n' in provider, provider)


# --- With a window ---------------------------------------------------------------------------------

def command_line(home, person, *words, command=None):
    """How a program of the Flatpak is started for a person."""
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
    return ['env', '-i', *(f'{key}={value}' for key, value in environment.items()),
            'flatpak', 'run', *([f'--command={command}'] if command else []), APP_ID, *words]


def sandboxed(home, person, *words, command=None):
    """Starts it, in the network namespace of the person's host."""
    return Program(home.lab, f'{person.name}-flatpak', person.host, command_line(home, person, *words, command=command))


def introduce(home):
    """Left has the Flatpak and is Laptop, right is outside of any sandbox and is Desk."""
    left, right = home.left, home.right
    sandboxed(home, left, 'config', 'set', 'name', 'Laptop', command='porthole-cli').expect_exit(0, 60)
    sandboxed(home, left, 'config', 'set', 'rendezvous', home.lab.rendezvous, command='porthole-cli').expect_exit(0, 60)
    inviting = sandboxed(home, left, '--json', 'invite', '--name', 'Desk', command='porthole-cli')
    link = inviting.wait_event('invitation', 60)['link']
    adding = right.cli('add', '-', '--name', 'Laptop', text=link + '\n')
    adding.expect_exit(0, 60)
    inviting.expect_exit(0, 60)
    right.contact = adding.last_event('contact')['id']


def open_window(home):
    """The Flatpak of left, in front; returns a pilot."""
    from pilot import Pilot

    class SandboxedPilot(Pilot):
        def window(self):
            """By its name: the process number that it tells is its sandbox's own."""
            return window_named(self.desktop, 'Porthole')

    sandboxed(home, home.left)
    window = wait_for('a window', lambda: window_named(home.desktop, 'Porthole'), 60)
    home.desktop.place(window, 20, 40, 1000, 700)
    return SandboxedPilot(home.desktop, wait_for('an accessible window', accessible_pid, 60), 'flatpak')


def kill():
    subprocess.run(['flatpak', 'kill', APP_ID], env=dict(os.environ, XDG_RUNTIME_DIR=os.environ['PORTHOLE_RUNTIME_DIR']),
                   check=False, capture_output=True)


@contextlib.contextmanager
def household(desktop, name, **options):
    from people import Household
    with Household(desktop, **options) as home:
        try:
            yield home
        except Exception as error:
            with contextlib.suppress(Exception):
                error.picture = desktop.picture(OUT / f'failed-{name}.png')
            raise
        finally:
            kill()
            wait_for('the Flatpak to end', lambda: not window_named(desktop, 'Porthole'))


@step
def sends_and_receives(desktop):
    """A Flatpak and a Porthole outside of any sandbox become contacts; files go both ways, through both NATs."""
    with household(desktop, 'sends-and-receives') as home:
        left, right = home.left, home.right
        downloads = Path(left.env['HOME'], 'Downloads')
        introduce(home)
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
        pilot = open_window(home)
        names = {pilot.name(node) for node in pilot.nodes()}
        must(any('Porthole' in name for name in names), f'what a screen reader sees: {sorted(names)[:40]}')
        desktop.settled_picture(OUT / 'window.png', pilot.window())


# --- With the portals of a session -----------------------------------------------------------------

def slow():
    """Slow enough to act in the middle of a transfer."""
    from network import Network
    return Network('port-restricted', 'address-restricted', rate='20mbit')


def portals(desktop, **options):
    from portals import Portals
    return Portals(desktop, os.environ['PORTHOLE_RUNTIME_DIR'], **options)


def hidden_file(home, name):
    """A file where a Flatpak cannot look."""
    path = Path(home.left.env['HOME'], name)
    write_random(path, 2_000_000)
    return path


def choose(desktop, session, title, path):
    """In the portal's dialog, by keys."""
    from pilot import Pilot, text_of
    wait_for('the portal’s dialog', lambda: window_named(desktop, title), 30)
    dialog = Pilot(desktop, session.dialogs_pid(), 'portal')
    desktop.xdotool('windowactivate', '--sync', window_named(desktop, title))
    desktop.key('ctrl+l')
    wait_for('a place to write', lambda: dialog.find(role='text'), 30)
    desktop.type(str(path))
    wait_for('the path', lambda: any(text_of(node) == str(path) for node in dialog.nodes() if dialog.role(node) == 'text'))
    wait_for('the file to be found', lambda: dialog.can_act(dialog.find('Send')))
    desktop.key('Return')


@step
def sends_what_is_chosen(desktop):
    """The portal's dialog chooses a file that it does not see itself, and it arrives."""
    with household(desktop, 'sends-what-is-chosen') as home, portals(desktop) as session:
        introduce(home)
        path = hidden_file(home, 'Chosen.bin')
        receiver = home.right.receive()
        pilot = open_window(home)
        pilot.click(pilot.wait('Desk', 'list item'))
        pilot.press('Send Files…', 'button')
        choose(desktop, session, 'Send Files', path)
        receiver.expect_exit(0, 60)
        compare(path, home.right.inbox / path.name)


@step
def sends_what_is_dropped(desktop):
    """A file that is dragged in from outside arrives; one that its program does not hand through the portal is told of
    in words that help."""
    from drags import drop
    with household(desktop, 'sends-what-is-dropped') as home, portals(desktop):
        introduce(home)
        path, other = hidden_file(home, 'Dropped.bin'), hidden_file(home, 'Unseen.bin')
        receiver = home.right.receive()
        pilot = open_window(home)
        row = pilot.wait('Desk', 'list item')
        # As a file manager does, which knows of the portal.
        drop(pilot, home, [path], row, env={'GDK_DEBUG': '', 'GTK_USE_PORTAL': '', 'XDG_RUNTIME_DIR':
                                            os.environ['PORTHOLE_RUNTIME_DIR']})
        receiver.expect_exit(0, 60)
        compare(path, home.right.inbox / path.name)

        drop(pilot, home, [other], row)
        pilot.wait_text('Nothing Was Sent')
        pilot.wait_text('Porthole cannot see “')


def close_during_transfer(desktop, home, pilot):
    """Sends something that takes long on this line, and closes the window meanwhile; returns its receiver and the file."""
    path = Path(home.left.env['HOME'], 'Downloads', 'Long.bin')
    write_random(path, 12_000_000)
    receiver = home.right.receive()
    sandboxed(home, home.left, 'send', 'Desk', path, '--queue', command='porthole-cli').expect_exit(0, 60)
    receiver.wait_event('progress', 60)
    pilot.focus()
    desktop.key('ctrl+w')
    wait_for('the window to close', lambda: not window_named(desktop, 'Porthole'))
    return receiver, path


def notified(desktop, title):
    return wait_for(f'a notification “{title}”', lambda: next(
        (each for each in desktop.notifications(APP_ID).values() if title in each['title']), None), 60)


@step
def goes_on_without_window(desktop):
    """With the window closed a transfer goes on, a notification of the portal says so, and so one does at its end. This
    desktop has no portal for the background: nothing is asked, and nothing is complained about."""
    with household(desktop, 'goes-on-without-window', network=slow()) as home, portals(desktop):
        introduce(home)
        pilot = open_window(home)
        before = len(desktop.notifications(APP_ID))  # of the steps before
        receiver, path = close_during_transfer(desktop, home, pilot)
        notified(desktop, '1 Transfer Goes On in the Background')
        receiver.expect_exit(0, 120)
        compare(path, home.right.inbox / path.name)
        wait_for('both notifications, one of them taken back', lambda: len(desktop.notifications(APP_ID)) == before + 1)
        notified(desktop, 'Delivered to Desk')
        told = [each['title'] for each in desktop.notifications(APP_ID).values()]
        must('1 Transfer Goes On in the Background' not in told, f'it still says {told}')
        value = sandboxed(home, home.left, '--json', 'config', 'get', 'run-in-background', command='porthole-cli')
        value.expect_exit(0, 60)
        must(value.last_event('config')['value'] == 'true', 'the switch went back though nobody refused')


def act(name):
    """An action of the application, as the desktop calls it; the bus starts what does not run."""
    run('gapplication', 'action', APP_ID, name)


def press(number, action):
    """A button of a notification."""
    run('gdbus', 'call', '--session', '--dest', 'org.freedesktop.Notifications', '--object-path', '/org/freedesktop/Notifications',
        '--method', 'org.freedesktop.Notifications.Press', number, action)


@step
def notification_starts_it(desktop):
    """An offer's notification outlives the Flatpak: its button starts it again, without a window, and accepts."""
    with household(desktop, 'notification-starts-it') as home, portals(desktop):
        introduce(home)
        # The exported service's own words, where this person's network is.
        desktop.add_service(APP_ID, within(home.left.host.name, command_line(home, home.left, '--gapplication-service')))
        path = home.right.inbox / 'For you.bin'
        write_random(path, 2_000_000)
        open_window(home)
        desktop.key('ctrl+w')
        wait_for('the window to close', lambda: not window_named(desktop, 'Porthole'))
        sending = home.right.cli('send', 'Laptop', path, '--timeout', '120')
        offer = notified(desktop, 'Wants to Send')
        number = next(key for key, each in desktop.notifications(APP_ID).items() if each == offer)
        act('quit')
        wait_for('it to end', lambda: APP_ID not in flatpaks(), 30)
        accept = next((each['action'] for each in offer['buttons'] if each['label'] == 'Accept'), None)
        must(accept, f'it cannot be accepted: {offer}')
        press(number, accept)
        sending.expect_exit(0, 120)
        compare(path, Path(home.left.env['HOME'], 'Downloads', path.name))
        must(not window_named(desktop, 'Porthole'), 'a window opened that nobody asked for')


@step
def asks_to_run_in_background(desktop):
    """Where there is a portal for the background it is asked. Who is allowed starts at login when a person wants that; who
    is not says so, with a window and without, and the switches go back."""
    with household(desktop, 'asks-to-run-in-background', network=slow()) as home, portals(desktop, background=True) as session:
        def setting(key, value=None):
            program = sandboxed(home, home.left, '--json', 'config', *(['set', key, value] if value else ['get', key]),
                                command='porthole-cli')
            program.expect_exit(0, 60)
            return value or program.last_event('config')['value']

        introduce(home)
        pilot = open_window(home)
        pilot.wait('Desk', 'list item')
        setting('auto-start', 'true')
        entry = wait_for('an entry for the login', lambda: session.autostart(APP_ID))
        must('flatpak run' in entry and '--gapplication-service' in entry, f'at login it starts {entry}')
        must(session.background_allowed(APP_ID) == ['yes'], 'the portal does not know that it is allowed')
        setting('auto-start', 'false')
        wait_for('no entry for the login', lambda: not session.autostart(APP_ID))

        session.allow_background(APP_ID, False)
        setting('auto-start', 'true')
        pilot.wait_text('This desktop does not start Porthole at login')
        pilot.wait_text('This desktop stops Porthole when its window is closed')
        must((setting('auto-start'), setting('run-in-background')) == ('false', 'false'), 'a switch did not go back')
        kill()
        wait_for('it to end', lambda: not window_named(desktop, 'Porthole'))

        setting('run-in-background', 'true')
        pilot = open_window(home)
        receiver, path = close_during_transfer(desktop, home, pilot)
        notified(desktop, 'This desktop stops Porthole when its window is closed')
        wait_for('the switch to go back', lambda: setting('run-in-background') == 'false')
        # The portal stops what runs without a window and without leave, if the transfer has not ended before.
        wait_for('it to end', lambda: APP_ID not in flatpaks(), 60)
        pilot = open_window(home)
        receiver.expect_exit(0, 120)
        compare(path, home.right.inbox / path.name)


def flatpaks():
    return run('flatpak', 'ps', '--columns=application', env=dict(os.environ, XDG_RUNTIME_DIR=os.environ['PORTHOLE_RUNTIME_DIR']))


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
