#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""porthole-cli while an application has the profile open: the same commands, output and exit codes. To be run
under dbus-run-session. usage: test-remote.py CLI OWNER RENDEZVOUS"""

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

CLI, OWNER, RENDEZVOUS = (os.path.abspath(each) for each in sys.argv[1:4])
LIMIT = 30  # seconds that nothing here comes near
TESTS = []
TOP = Path(tempfile.mkdtemp(prefix='ph-remote-'))


def test(function):
    TESTS.append(function)
    return function


def must(condition, *shown):
    if not condition:
        raise AssertionError('\n'.join(repr(each) for each in shown))


class Person:
    def __init__(self, name):
        self.profile = TOP / name
        self.owner = None

    def open(self):
        self.owner = subprocess.Popen([OWNER, self.profile], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        must(self.owner.stdout.readline() == 'ready\n', self.profile)

    def close(self):
        if self.owner is not None:
            self.owner.stdin.close()
            self.owner.stdout.close()
            must(self.owner.wait(LIMIT) == 0, 'the owner ended badly')
            self.owner = None

    def kill(self):
        self.owner.kill()
        with self.owner:
            self.owner = None

    def start(self, *args, **kwargs):
        return subprocess.Popen([CLI, '--profile', self.profile, *args], stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **kwargs)

    def run(self, *args, status=0, **kwargs):
        with self.start(*args, **kwargs) as process:
            out, err = process.communicate(timeout=LIMIT)
            must(process.returncode == status, args, process.returncode, out, err)
            return out, err


def events(out):
    return [json.loads(line) for line in out.splitlines()]


def until(process, *kinds):
    """The first of these events that the process tells."""
    for line in process.stdout:
        event = json.loads(line)
        if event['event'] in kinds:
            return event
    raise AssertionError(f'{process.args} told no {kinds}')


def transfers(person, count):
    """Those under way, once there are so many."""
    end = time.monotonic() + LIMIT
    while True:
        found = events(person.run('--json', 'transfers')[0])
        if len(found) == count:
            return found
        must(time.monotonic() < end, found)


def meet(left, right):
    """Two people become contacts, by the command line alone."""
    with left.start('--json', 'invite') as invite:
        link = until(invite, 'invitation')['link']
        right.run('add', link, '--name', 'Desk')
        out, err = invite.communicate(timeout=LIMIT)
        must(invite.returncode == 0, out, err)


def heard(process, text):
    """Waits until --explain says this."""
    while text not in until(process, 'explain')['text']:
        pass


def finish(process, status=0):
    out, err = process.communicate(timeout=LIMIT)
    must(process.returncode == status, process.args, process.returncode, out, err)
    return out, err


@test
def the_same_with_and_without_an_owner(left, right):
    commands = [('id',), ('contacts',), ('--json', 'contacts'), ('transfers',), ('config',), ('config', 'get', 'name'),
                ('--json', 'history'), ('history',)]
    with_owner = [left.run(*each) for each in commands]
    left.close()
    without = [left.run(*each) for each in commands]
    left.open()
    must(with_owner == without, with_owner, without)


@test
def errors_are_the_same(left, right):
    for args, status, code in [(('rename', 'Nobody', 'x'), 1, 'unknown-contact'),
                               (('cancel', '12345678'), 1, 'unknown-transfer'),
                               (('config', 'set', 'stun', '%%%'), 1, 'bad-value'),
                               (('add', 'porthole:nonsense'), 1, 'bad-invitation')]:
        out, _ = left.run('--json', *args, status=status)
        must(events(out)[-1]['code'] == code, out)


@test
def settings_take_effect_in_the_owner(left, right):
    left.run('config', 'set', 'name', 'Löt “x”')
    must(left.run('config', 'get', 'name')[0] == 'Löt “x”\n')
    left.run('config', 'set', 'name', 'Laptop')


@test
def a_file_goes_through_two_owners(left, right):
    inbox, work = TOP / 'inbox', TOP / 'work'
    inbox.mkdir()
    work.mkdir()
    (work / 'näme').write_bytes(os.urandom(300000))
    receive = right.start('--json', 'receive', '--accept', '--count', '1', '--to', inbox)
    # A relative path, as typed.
    out, _ = left.run('--json', 'send', 'Laptop of right', 'näme', cwd=work)
    delivered = events(out)[-1]
    must(delivered['event'] == 'delivered' and delivered['bytes'] == 300000, out)
    received = events(finish(receive)[0])
    must(received[-1]['event'] == 'received', received)
    must((inbox / 'näme').read_bytes() == (work / 'näme').read_bytes())
    must('näme' in left.run('history')[0])


@test
def stopped_while_it_waits(left, right):
    file = TOP / 'file'
    file.write_bytes(b'x')
    send = left.start('--json', 'send', 'Laptop of right', file)
    waiting = transfers(left, 1)
    send.send_signal(signal.SIGINT)
    finish(send, 3)
    # It is Porthole's, not the command's.
    transfers(left, 1)
    left.run('cancel', waiting[0]['transfer'])
    transfers(left, 0)
    out, _ = left.run('--json', 'send', '--timeout', '1', 'Laptop of right', file, status=4)
    must(events(out)[-1]['code'] == 'timed-out', out)
    for each in events(left.run('--json', 'transfers')[0]):
        left.run('cancel', each['transfer'])


@test
def an_invitation_is_withdrawn_with_ctrl_c(left, right):
    invite = left.start('--json', 'invite')
    link = until(invite, 'invitation')['link']
    invite.send_signal(signal.SIGINT)
    finish(invite, 3)
    out, _ = Person('stranger').run('--json', 'add', link, status=1)
    must(events(out)[-1]['code'] == 'invitation-expired', out)


@test
def a_reader_that_stops_holds_nobody_up(left, right):
    """Its output is full, or it is stopped: others go on."""
    sleepy = left.start('--json', 'receive', '--accept')
    until(sleepy, 'status')
    sleepy.send_signal(signal.SIGSTOP)
    for i in range(30):
        left.run('config', 'set', 'name', f'Laptop {i}')
    sleepy.send_signal(signal.SIGCONT)
    sleepy.send_signal(signal.SIGINT)
    finish(sleepy, 0)
    killed = left.start('--json', 'receive', '--accept')
    killed.kill()
    killed.communicate(timeout=LIMIT)
    must('Laptop 29' in left.run('config', 'get', 'name')[0])


@test
def the_owner_ends_meanwhile(left, right):
    file = TOP / 'file'
    file.write_bytes(b'x')
    send = left.start('--json', 'send', 'Laptop of right', file)
    transfers(left, 1)
    left.close()
    out, _ = finish(send, 1)
    must(events(out)[-1]['code'] == 'failed', out)
    # Without an owner the command has the profile itself.
    transfers(left, 1)
    left.open()


@test
def one_that_leaves_does_not_silence_another(left, right):
    """--explain of a command goes on when another one, with or without it, comes and goes."""
    file = TOP / 'explained'
    file.write_bytes(b'x')
    right.close()
    explained = left.start('--json', 'send', '--explain', 'Laptop of right', file)
    transfers(left, 2)
    other = left.start('--json', 'send', 'Laptop of right', file)
    transfers(left, 3)
    other.send_signal(signal.SIGINT)
    finish(other, 3)
    right.open()
    heard(explained, 'link up')
    explained.send_signal(signal.SIGINT)
    finish(explained, 3)
    for each in events(left.run('--json', 'transfers')[0]):
        left.run('cancel', each['transfer'])


@test
def a_long_history_comes_in_pages(left, right):
    """More than waits for a client that does not read."""
    third = Person('long')
    third.run('config', 'set', 'name', 'Archive')
    rows = 25000
    with closing(sqlite3.connect(third.profile / 'porthole.db')) as database:
        database.executemany(
            "INSERT INTO transfers (id, peer, peer_name, incoming, state, files, bytes, bytes_done, title, code, rate,"
            " position, created_at, finished_at) VALUES (?, zeroblob (32), 'Desk', 1, 4, 1, 1, 1, 'f', '', 0, 0, 1, ?)",
            ((number.to_bytes(16), 1000 + number // 3) for number in range(rows)))
        database.commit()
    third.open()
    shown = events(third.run('--json', 'history', '-n', '0')[0])
    must(len(shown) == rows and len({each['transfer'] for each in shown}) == rows, len(shown))
    must(len(events(third.run('--json', 'history', '-n', '777')[0])) == 777)
    third.close()


def call(name, path, method, *args):
    return subprocess.run(['gdbus', 'call', '--session', '--dest', name, '--object-path', path, '--method', method,
                           *args], capture_output=True, text=True, timeout=LIMIT, check=False)


@test
def nonsense_on_the_bus_is_refused(left, right):
    names = call('org.freedesktop.DBus', '/org/freedesktop/DBus', 'org.freedesktop.DBus.ListNames').stdout
    name = next(each for each in re.findall(r"'([^']*)'", names) if '.P' in each and 'Porthole' in each)
    for method, *args in [('Open', '0.0.0'), ('Next', '77'), ('Close', '77'), ('Next', '"x"'),
                          ('Post', '77', '(1, (1, 0, 0, 0, 0, false), [], [])'), ('Nothing',)]:
        done = call(name, '/org/porthole/Porthole/Engine', f'org.porthole.Porthole.Engine1.{method}', *args)
        must(done.returncode != 0, method, done.stdout)
    must(left.run('id')[0] != '')


@test
def a_profile_that_no_application_has_stays_in_use(left, right):
    """Another command has it: nobody answers on the bus."""
    third = Person('third')
    third.run('config', 'set', 'rendezvous', left.run('config', 'get', 'rendezvous')[0].strip())
    receive = third.start('receive', '--accept')
    while receive.stderr.readline() == '':
        pass
    out, _ = third.run('--json', 'id', status=1)
    must(events(out)[-1]['code'] == 'profile-in-use', out)
    receive.send_signal(signal.SIGINT)
    finish(receive, 0)


@test
def one_that_is_killed_is_gone_soon(left, right):
    """It says no goodbye to this network, where it would be waited for longer than any test; the meeting point
    notices at once."""
    third = Person('killed')
    third.run('config', 'set', 'name', 'Phone of third')
    third.open()
    meet(left, third)
    right.close()
    file = TOP / 'killed file'
    file.write_bytes(b'x')
    explained = left.start('--json', 'send', '--explain', 'Laptop of right', file)
    transfers(left, 1)
    killed_at = time.monotonic()
    third.kill()
    heard(explained, 'a contact is gone: it has not been heard')
    must(time.monotonic() < killed_at + LIMIT)
    explained.send_signal(signal.SIGINT)
    finish(explained, 3)
    for each in events(left.run('--json', 'transfers')[0]):
        left.run('cancel', each['transfer'])
    right.open()


def main():
    subprocess.run("ip link set lo up; ip link add ph-test type veth peer name ph-peer 2>/dev/null;"
                   " ip addr replace 10.77.0.1/24 dev ph-test && ip link set ph-test up && ip link set ph-peer up",
                   shell=True, check=True)
    failed = False
    left, right = Person('left'), Person('right')
    with subprocess.Popen([RENDEZVOUS, '--listen', '127.0.0.1:0'], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True) as server:
        url = server.stdout.readline().strip()
        left.run('config', 'set', 'rendezvous', url)
        left.run('config', 'set', 'name', 'Desk of left')
        right.run('config', 'set', 'name', 'Laptop of right')
        left.open()
        right.open()
        print(f'1..{len(TESTS) + 1}')
        try:
            meet(left, right)
            print('ok 1 met')
            for number, each in enumerate(TESTS, 2):
                try:
                    each(left, right)
                    print(f'ok {number} {each.__name__}', flush=True)
                except Exception as error:  # pylint: disable=broad-exception-caught
                    failed = True
                    print('# ' + str(error).replace('\n', '\n# '))
                    print(f'not ok {number} {each.__name__}', flush=True)
            left.close()
            right.close()
        finally:
            server.terminate()
            shutil.rmtree(TOP)
    sys.exit(failed)


main()
