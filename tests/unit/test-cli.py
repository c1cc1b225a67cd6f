#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""porthole-cli on an engine that only plays (tests/support/fake-engine.c): arguments, words, JSON, exit
codes, the terminal. usage: test-cli.py PROGRAM"""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

PROGRAM = os.path.abspath(sys.argv[1])
LIMIT = 20  # seconds that nothing here comes near
TESTS = []


def test(function):
    TESTS.append(function)
    return function


class Run:
    """One run to its end, without a terminal."""

    def __init__(self, *args, text='', **env):
        with tempfile.NamedTemporaryFile() as log:
            done = subprocess.run([PROGRAM, *args], input=text, capture_output=True, text=True, timeout=LIMIT,
                                  env={**os.environ, 'FAKE_LOG': log.name, **env}, check=False)
            self.log = Path(log.name).read_text().splitlines()
        self.status, self.out, self.err = done.returncode, done.stdout, done.stderr

    def __repr__(self):
        return f'status {self.status}\n{self.out}{self.err}'

    @property
    def events(self):
        return [json.loads(line) for line in self.out.splitlines()]


def must(condition, *shown):
    if not condition:
        raise AssertionError('\n'.join(repr(each) for each in shown))


def fails(run, status, *words):
    must(run.status == status, run)
    must(all(word in run.err for word in words), words, run)
    must(run.out == '', run)


# --- Arguments ------------------------------------------------------------------------------------

@test
def usage_errors_are_2_and_name_the_way_on():
    fails(Run(), 2, 'porthole-cli --help')
    fails(Run('sned'), 2, '“send”')
    fails(Run('wibble'), 2, 'porthole-cli --help')
    fails(Run('--wibble', 'id'), 2, '--wibble', '--help')
    fails(Run('send', '--wibble'), 2, '--wibble', 'porthole-cli send --help')
    fails(Run('send', 'Anna'), 2, 'CONTACT PATH')
    fails(Run('id', 'more'), 2, 'porthole-cli id')
    fails(Run('rename', 'Anna'), 2, 'CONTACT NAME')
    fails(Run('config', 'put', 'name', 'x'), 2, 'get KEY')
    fails(Run('receive', '--count', '-1', '--accept'), 2, 'count')


@test
def help_and_version():
    run = Run('--help')
    must(run.status == 0, run)
    commands = ('id', 'invite', 'add', 'contacts', 'transfers', 'history', 'rename', 'remove', 'block', 'unblock',
                'pause', 'resume', 'cancel', 'send', 'receive', 'nat', 'config')
    for command in commands:
        must(re.search(rf'^  {command} +\S', run.out, re.M), command, run)
        one = Run(command, '--help')
        must(one.status == 0 and f'porthole-cli {command}' in one.out, one)
        must(Run(command, '-h').status == 0, command)
    must(re.fullmatch(r'porthole-cli \d+\.\d+\.\d+\n', Run('--version').out))


@test
def global_options_may_stand_on_both_sides():
    must(Run('--json', 'id').events == [{'event': 'id', 'id': 'MMMM-9999'}])
    must(Run('id', '--json').events == [{'event': 'id', 'id': 'MMMM-9999'}])
    must(Run('--profile', '/somewhere', 'id').log[0] == 'open /somewhere')
    must(Run('id', '--profile=/somewhere').log[0] == 'open /somewhere')
    must(Run('id').log[0] == 'open -')


@test
def two_dashes_end_the_options():
    run = Run('rename', '--', 'Anna', '--json')
    must(run.status == 0 and 'rename AAAA-1111 --json' in run.log, run, run.log)


# --- Errors ---------------------------------------------------------------------------------------

@test
def unknown_names_bring_near_ones():
    fails(Run('remove', 'Ana'), 1, '“Ana”', '“Anna”')
    fails(Run('remove', 'bernt'), 1, '“Bernd”')
    fails(Run('remove', 'Qqqqqqq'), 1, 'porthole-cli contacts')
    fails(Run('remove', 'Anna', FAKE_NO_CONTACTS='1'), 1, 'porthole-cli invite')
    fails(Run('remove', 'Zoe'), 1, 'Several')
    fails(Run('config', 'get', 'rendevouz'), 2, '“rendezvous”')
    fails(Run('config', 'get', 'zzzzzzzzzzz'), 2, 'download-dir')
    fails(Run('cancel', 'abcd'), 1, 'Several')
    fails(Run('cancel', 'ffff'), 1, 'porthole-cli transfers')
    fails(Run('remove', '\x1b[31m'), 1, '\\x1b[31m')


@test
def errors_of_the_engine_say_what_to_do():
    fails(Run('--profile', '/x/in-use', 'id'), 1, 'porthole-cli: The profile is in use.')
    fails(Run('add', 'http://x'), 1, 'porthole-cli: This is not an invitation.')
    fails(Run('add', '-', text=''), 1, 'standard input')
    run = Run('invite', FAKE_STATUS='none')
    fails(run, 1, 'No meeting point is configured')
    must('nobody can be found' not in run.err, run)
    fails(Run('send', 'Clara', '/', '--timeout', '1', FAKE_STATUS='none'), 4, 'nobody can be found')
    fails(Run('config', 'set', 'stun', 'bad'), 1, 'no address')
    run = Run('send', 'Clara', '/', '--timeout', '1', FAKE_STATUS='offline')
    fails(run, 4, 'ws://x', 'connection refused', '2.5 s')


@test
def errors_are_objects_for_programs():
    for args, code, status in (
            (['--json', '--profile', '/x/in-use', 'id'], 'profile-in-use', 1),
            (['--json', 'remove', 'Ana'], 'unknown-contact', 1),
            (['--json', 'cancel', 'ffff'], 'unknown-transfer', 1),
            (['--json', 'config', 'get', 'nam'], 'unknown-setting', 2),
            (['--json', 'send', 'Anna', '/nothing/there'], 'files', 1),
            (['--json', 'send', 'Emil', '/'], 'blocked', 1),
            (['--json', 'receive', '--accept', '--to', '/nothing/there'], 'folder', 1),
            (['--json', 'wibble'], 'usage', 2),
            (['--json'], 'usage', 2)):
        run = Run(*args)
        must(run.status == status and run.err == '', args, run)
        must([event['event'] for event in run.events] == ['failed'], run)
        must(run.events[0]['code'] == code and run.events[0]['message'], run)


# --- People and settings --------------------------------------------------------------------------

@test
def contacts_are_found_by_name_and_id():
    for text in ('Anna', 'anna', 'AAAA-1111', 'aaaa1111'):
        run = Run('remove', text)
        must(run.status == 0 and 'remove AAAA-1111' in run.log, run, run.log)
    must('block BBBB-2222' in Run('block', 'Bernd').log)
    must('unblock EEEE-5555' in Run('unblock', 'Emil').log)
    must('rename AAAA-1111 Annika' in Run('rename', 'Anna', 'Annika').log)
    must('connect' not in Run('rename', 'Anna', 'Annika').log)


@test
def contacts_are_listed_and_escaped():
    run = Run('contacts')
    must('AAAA-1111  Anna\n' in run.out and 'Emil  (blocked)' in run.out, run)
    must('\x1b' not in run.out and '\u202e' not in run.out and 'Nasty\\x1b[31m' in run.out, run)
    events = Run('--json', 'contacts').events
    must({event['event'] for event in events} == {'contact'} and events[0]['name'] == 'Anna', events)
    must(events[7]['name'] == 'Nasty\x1b[31m\u202e', events)
    must('porthole-cli invite' in Run('contacts', FAKE_NO_CONTACTS='1').err)


@test
def invitations():
    run = Run('invite', '--name', 'Aunt')
    must(run.status == 0 and run.out.startswith('porthole:invitation\n') and 'invite Aunt' in run.log, run)
    events = Run('--json', 'invite').events
    must([event['event'] for event in events] == ['status', 'invitation', 'contact'], events)
    must(events[1]['link'] == 'porthole:invitation' and events[2]['id'] == 'AAAA-1111', events)
    run = Run('add', 'porthole:x', FAKE_STATUS='none')
    must(run.status == 0 and run.err == '', run)
    run = Run('--json', 'add', '-', '--name', 'Left', text='  porthole:secret \n')
    must(run.status == 0 and 'add porthole:secret Left' in run.log, run, run.log)
    must(run.events[-1]['event'] == 'contact' and run.events[-1]['id'] == 'BBBB-2222', run)


@test
def settings():
    must(Run('config', 'get', 'name').out == 'value of name\n')
    must('set stun x y' in Run('config', 'set', 'stun', 'x y').log)
    must(f'set download-dir {os.getcwd()}/inbox' in Run('config', 'set', 'download-dir', 'inbox').log)
    must('download-dir = value of download-dir' in Run('config').out)
    must(Run('--json', 'config', 'get', 'stun').events
         == [{'event': 'config', 'key': 'stun', 'value': 'value of stun'}])


@test
def network_report():
    events = Run('--json', 'nat').events
    must(len(events) == 1 and events[0]['type'] == 'port-restricted' and events[0]['hairpin'] is False, events)
    run = Run('nat', '--lifetime')
    must('up to ten minutes' in run.err and 'after 20 s' in run.err and '28' in run.out, run)
    events = Run('--json', 'nat', '--lifetime').events
    must(len(events) == 1 and events[0]['mapping_lifetime_s'] == 28, events)
    run = Run('nat')
    must(run.status == 0 and 'exact answers' in run.out and '203.0.113.1, 2001:db8::1' in run.out, run)


# --- Transfers ------------------------------------------------------------------------------------

@test
def lists_of_transfers():
    run = Run('transfers')
    must('abcd1111' in run.out and 'paused' in run.out and 'Clara' in run.out and '\x1b' not in run.out, run)
    events = Run('--json', 'transfers').events
    must([(event['transfer'], event['state']) for event in events]
         == [('abcd1111', 'paused'), ('abcd2222', 'waiting')], events)
    run = Run('history', '-n', '7')
    must('history 7' in run.log and 'not enough space' in run.out and '\x07' not in run.out, run)
    must(Run('--json', 'history').events[0]['code'] == 'no-space')
    run = Run('history', '--contact', 'Anna', '--search', 'two words', '--missed')
    must('history 50 with AAAA-1111 about two words missed' in run.log, run.log)
    must(Run('history', '--contact', 'Nobody').status == 1)
    must('pause abcd1111' in Run('pause', 'ABCD1').log)
    must('cancel abcd2222' in Run('cancel', 'abcd2').log)


@test
def a_send_is_told_to_the_end():
    run = Run('send', 'Anna', '/')
    must(run.status == 0 and run.out.startswith('Delivered to Anna: 3 files, 1.0\u00a0GB in 4.0 s'), run)
    for word in ('has accepted', 'through a relay', 'direct over UDP', '100 %', '42 ms'):
        must(word in run.err, word, run)
    must('\r' not in run.err and run.err.count('1 item was left out') == 1, run)
    must(run.log[-1] == 'close', run.log)


@test
def a_send_as_json():
    run = Run('--json', 'send', 'Anna', '/')
    kinds = [event['event'] for event in run.events]
    must(run.status == 0 and run.err == '', run)
    must(kinds.count('path') == 2 and kinds.count('progress') >= 2 and kinds[-1] == 'delivered', run)
    wanted = {'event': 'delivered', 'transfer': '5e4d0000', 'files': 3, 'bytes': 1000000000, 'seconds': 4.001,
              'first_byte_ms': 42, 'path': 'udp', 'best_path': 'udp', 'direct_ms': 900, 'local': 'srflx',
              'remote': 'srflx', 'transport': 'quic'}
    must(wanted.items() <= run.events[-1].items(), run.events[-1])
    path = run.events[kinds.index('path')]
    must({'transfer', 'path', 'transport', 'local', 'remote', 'rtt_ms'} <= path.keys(), path)
    progress = run.events[kinds.index('progress')]
    must({'transfer', 'bytes', 'total', 'rate'} <= progress.keys(), progress)


@test
def numbers_are_short():
    must('"seconds":4.001,' in Run('--json', 'send', 'Anna', '/').out)


@test
def bad_ends_of_a_send():
    fails(Run('send', 'Bernd', '/'), 3, 'does not want it')
    fails(Run('send', 'Dora', '/'), 1, 'no path')
    fails(Run('send', 'Clara', '/', '--timeout', '1'), 4, 'resume 5e4d0000', 'cancel 5e4d0000')


@test
def what_is_in_the_way_is_told_once_while_it_waits():
    run = Run('send', 'Clara', '/', '--timeout', '1')
    must(run.err.count('No path to Clara was found. Trying again in 3 s') == 1, run)
    waiting = [event for event in Run('--json', 'send', 'Clara', '/', '--timeout', '1').events
               if event['event'] == 'waiting']
    must(len(waiting) == 1, waiting)
    must(waiting[0] == {'event': 'waiting', 'transfer': waiting[0]['transfer'], 'code': 'unreachable',
                        'message': 'No path to Clara was found. Trying again in 3 s', 'retry_ms': 2900}, waiting)
    fails(Run('send', 'HHHH8888', '/'), 1, 'cannot be read')
    events = Run('--json', 'send', 'Bernd', '/').events
    must(events[-1]['event'] == 'failed' and events[-1]['code'] == 'declined', events)
    events = Run('--json', 'send', 'Dora', '/').events
    must([event['code'] for event in events if event['event'] == 'failed'] == ['unreachable'], events)
    events = Run('--json', 'send', 'HHHH8888', '/').events
    must([event['code'] for event in events if event['event'] == 'failed'] == ['files'], events)


@test
def sent_paths_are_absolute_and_keep_their_names():
    with tempfile.TemporaryDirectory() as folder:
        folder = os.path.realpath(folder)
        os.mkdir(f'{folder}/sub')
        Path(folder, 'file').touch()
        os.symlink('file', f'{folder}/link')
        os.symlink('sub', f'{folder}/link-to-folder')
        here = os.getcwd()
        os.chdir(folder)
        try:
            run = Run('send', 'Anna', '--queue', 'file', 'link', 'link-to-folder/../file', 'sub/', '.', './sub/..')
        finally:
            os.chdir(here)
        must(run.log[1:7] == [f'send AAAA-1111 {path}' for path in
                              (f'{folder}/file', f'{folder}/link', f'{folder}/file', f'{folder}/sub', folder, folder)],
             run.log)
        must(run.status == 0 and run.out == '5e4d0000\n' and 'connect' not in run.log, run)
        os.mkfifo(f'{folder}/fifo')
        fails(Run('send', 'Anna', f'{folder}/fifo'), 1, 'neither a file nor a folder')


@test
def explanations():
    must('ice: pair nominated' in Run('send', 'Anna', '/', '--explain').err)
    must('ice: pair nominated' not in Run('send', 'Anna', '/').err)
    must({'event': 'explain', 'text': 'ice: pair nominated'} in Run('--json', 'send', 'Anna', '/', '--explain').events)


@test
def resume_waits_for_the_end():
    run = Run('--json', 'resume', 'abcd1111')
    must(run.status == 0 and run.events[-1]['event'] == 'delivered' and 'connect' in run.log, run)
    run = Run('resume', 'abcd1111')
    must('1.0\u00a0GB in 4.0 s (125.0\u00a0MB/s)' in run.out, run)  # half of it had been there before
    fails(Run('resume', 'abcd2222', '--timeout', '1'), 4, 'resume abcd2222')


@test
def receiving():
    with tempfile.TemporaryDirectory() as folder:
        run = Run('receive', '--accept', '--count', '2', '--to', folder, FAKE_OFFERS='2')
        must(run.status == 0 and f'accept 0ffe0000 {os.path.realpath(folder)}' in run.log, run, run.log)
        must(run.out.count('Received from') == 2 and '\x1b' not in run.out + run.err, run)
    run = Run('--json', 'receive', '--accept', '--count', '1', FAKE_OFFERS='1')
    kinds = [event['event'] for event in run.events]
    must(run.status == 0 and 'offer' in kinds and kinds[-1] == 'received', run)
    offer = run.events[kinds.index('offer')]
    must(offer['from'] == 'Anna' and offer['files'] == 3 and offer['names'][1] == 'evil\x1b]0;x\x07.txt', offer)
    must(run.events[-1]['folder'] == '/downloads', run)
    fails(Run('receive'), 2, '--accept')
    run = Run('receive', '--accept', '--count', '1', FAKE_OFFERS='1', FAKE_ACCEPT_ERROR='1')
    must(run.status == 1 and 'not enough space' in run.err and 'decline 0ffe0000' in run.log, run, run.log)
    run = Run('receive', '--accept', '--to', '/etc/passwd')
    must(run.status == 1 and 'Not a directory' in run.err, run)


# --- The terminal ---------------------------------------------------------------------------------

class Terminal:
    """A run on a terminal of its own."""

    def __init__(self, *args, **env):
        # The other end stays open here too: its last closing can throw away what was written just before.
        self.fd, self.other = pty.openpty()
        # At Ctrl+C the kernel empties the terminal's queues, of what is written meanwhile too: not here.
        mode = termios.tcgetattr(self.other)
        mode[3] |= termios.NOFLSH
        termios.tcsetattr(self.other, termios.TCSANOW, mode)
        termios.tcsetwinsize(self.fd, (24, 40))
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.fd)
            os.login_tty(self.other)
            os.execve(PROGRAM, [PROGRAM, *args], {**os.environ, **env})
        self.exited = os.pidfd_open(self.pid)
        self.seen = ''

    def read(self):
        ready = select.select([self.fd, self.exited], [], [], LIMIT)[0]
        must(ready, 'silence after', self.seen)
        # After its end: what is still on its way through the terminal.
        if self.fd not in ready and not select.select([self.fd], [], [], 0.2)[0]:
            return False
        self.seen += os.read(self.fd, 4096).decode(errors='replace')
        return True

    def wait_for(self, text):
        while text not in self.seen:
            must(self.read(), f'the end came before {text!r}', self.seen)

    def type(self, text):
        os.write(self.fd, text.encode())

    def end(self):
        while self.read():
            pass
        for fd in (self.fd, self.other, self.exited):
            os.close(fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@test
def progress_is_one_line_that_fits():
    terminal = Terminal('send', 'GGGG-7777', '/')
    terminal.wait_for('%  ')
    terminal.type('\x03')
    must(terminal.end() == 3, terminal.seen)
    lines = [line for line in re.split(r'\r\n|\r\x1b\[K', terminal.seen) if ' %  ' in line]
    must(lines and all(len(line) < 40 for line in lines), lines)
    must('porthole-cli resume 5e4d0000' in terminal.seen, terminal.seen)


@test
def offers_are_asked_about():
    with tempfile.NamedTemporaryFile() as log:
        terminal = Terminal('receive', '--count', '2', FAKE_OFFERS='2', FAKE_LOG=log.name)
        terminal.wait_for('[y/N] ')
        terminal.type('yes\n')
        terminal.wait_for('Take what Nasty\\x1b[31m\\u202e offers? [y/N] ')
        terminal.type('\n')
        must(terminal.end() == 3, terminal.seen)  # the worst of the two: declined
        must('Received from Anna' in terminal.seen and 'Declined.' in terminal.seen, terminal.seen)
        # What is told meanwhile leaves the question where it can be read.
        above = terminal.seen[:terminal.seen.index('Received from Anna')]
        must(above.rstrip().endswith('\x1b[K'), above)
        commands = Path(log.name).read_text().splitlines()
        must('accept 0ffe0000 -' in commands and 'decline 0ffe0001' in commands, commands)


@test
def a_withdrawn_offer_ends_its_question():
    terminal = Terminal('receive', '--count', '1', FAKE_OFFERS='1', FAKE_WITHDRAW='1')
    terminal.wait_for('withdrawn')
    must(terminal.end() == 3, terminal.seen)


@test
def the_end_of_input_ends_the_questions():
    with tempfile.NamedTemporaryFile() as log:
        terminal = Terminal('receive', FAKE_OFFERS='1', FAKE_LOG=log.name)
        terminal.wait_for('[y/N] ')
        terminal.type('\x04')
        must(terminal.end() == 0, terminal.seen)
        must('decline' not in Path(log.name).read_text())


@test
def an_interrupted_invitation_is_withdrawn():
    with tempfile.NamedTemporaryFile() as log:
        process = subprocess.Popen([PROGRAM, 'invite'], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   env={**os.environ, 'FAKE_LOG': log.name, 'FAKE_UNUSED': '1'})
        must(process.stdout.readline() == 'porthole:invitation\n')
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=LIMIT)
        must(process.returncode == 3, process.returncode)
        must(Path(log.name).read_text().endswith('withdraw\nclose\n'), Path(log.name).read_text())


@test
def signals_stop_politely():
    for number in (signal.SIGINT, signal.SIGTERM):
        with tempfile.NamedTemporaryFile() as log:
            process = subprocess.Popen([PROGRAM, 'send', 'Clara', '/'], stderr=subprocess.PIPE, text=True,
                                       env={**os.environ, 'FAKE_LOG': log.name})
            must('Waiting for Clara' in process.stderr.readline())
            process.send_signal(number)
            _, rest = process.communicate(timeout=LIMIT)
            must(process.returncode == 3 and 'resume 5e4d0000' in rest, rest)
            must(Path(log.name).read_text().endswith('close\n'))


@test
def words_are_translated_and_numbers_local():
    catalogues = os.path.join(os.environ['TOP_BUILDDIR'], 'po')
    run = Run('send', 'Anna', '/', LC_ALL='de_DE.UTF-8', PORTHOLE_LOCALEDIR=catalogues)
    must(run.status == 0 and 'Zugestellt an Anna: 3 Dateien, 1,0' in run.out and '4,0 s' in run.out, run)


def main():
    print(f'1..{len(TESTS)}')
    bad = 0
    for number, function in enumerate(TESTS, 1):
        name = function.__name__.replace('_', '-')
        start = time.monotonic()
        try:
            function()
            print(f'ok {number} /cli/{name} # {time.monotonic() - start:.2f} s', flush=True)
        except (AssertionError, subprocess.TimeoutExpired) as error:
            bad += 1
            print(f'not ok {number} /cli/{name}')
            print('\n'.join('# ' + line for line in str(error).replace('\\n', '\n').splitlines()), flush=True)
    return 1 if bad else 0


sys.exit(main())
