#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""./run demo [--headless] [--size BYTES]: the main job, shown.

Two computers behind two different NATs become contacts by an invitation link; a folder (this source
tree and a large random file) travels from one to the other, and everything that is claimed about it is
checked by something else than the program that claims it: the bytes by comparison, the path by the
counters of the public host's interface."""

import argparse
import shutil
import sys
import threading
import time

sys.dont_write_bytecode = True

from lab import send_seconds  # noqa: E402
from network import LabError, Network  # noqa: E402
from programs import TOP, Lab, missing_programs  # noqa: E402
from trees import compare, copy_sources, listing, write_random  # noqa: E402

LEFT_KIND, RIGHT_KIND = 'port-restricted', 'address-restricted'
# What may cross the public host: signals, STUN, and nothing that grows with the file.
CROSSING_MAX = 200_000

PICTURE = '''
       left host                                        right host
       {left_address:<15}                                  {right_address}
          |                                                 |
       NAT: {left_kind:<18}                          NAT: {right_kind}
       {left_public:<15} ----------- internet ------------ {right_public}
                                     |
                          public host {public}
                        (rendezvous, STUN and TURN)
'''


class Screen:
    """Lines for people; one line that changes, where there is a terminal."""

    def __init__(self):
        self.live = sys.stdout.isatty()
        self.bold, self.green, self.red, self.plain = (
            ('\033[1m', '\033[32m', '\033[31m', '\033[0m') if self.live else ('', '', '', ''))
        self._quarter = -1

    def title(self, text):
        print(f'\n{self.bold}{text}{self.plain}', flush=True)

    def say(self, text):
        print(f'  {text}', flush=True)

    def check(self, good, text):
        mark = f'{self.green}yes{self.plain}' if good else f'{self.red}NO{self.plain} '
        print(f'  {mark}  {text}', flush=True)
        return good

    def progress(self, done, total, rate):
        share = done / total if total else 1
        line = f'  [{"#" * int(share * 30):<30}] {share * 100:3.0f} %  {size_text(done)} of {size_text(total)}'
        if rate:
            line += f', {size_text(rate)}/s'
        if self.live:
            print('\r\033[K' + line, end='', flush=True)
        elif int(share * 4) != self._quarter:
            self._quarter = int(share * 4)
            print(line, flush=True)

    def end_progress(self):
        if self.live:
            print(flush=True)


def size_text(count):
    for unit in ('bytes', 'kB', 'MB'):
        if count < 1000:
            return f'{count:.0f} {unit}' if unit == 'bytes' else f'{count:.1f} {unit}'
        count /= 1000
    return f'{count:.2f} GB'


def make_folder(lab, size):
    folder = lab.work / 'Porthole demo'
    copy_sources(TOP, folder)
    write_random(folder / 'random.bin', size)
    return folder


def show_network(screen, lab):
    network = lab.network
    print(PICTURE.format(
        left_address=network.left.address, right_address=network.right.address, left_kind=LEFT_KIND,
        right_kind=RIGHT_KIND, left_public=network.left.public, right_public=network.right.public,
        public=network.public.address), flush=True)
    screen.say('Tried with packets: neither private address can be reached from outside its own site, and')
    screen.say('each router keeps unsolicited packets out as its kind says.')


def send(screen, lab, folder):
    """Returns (the delivered object, seconds from start to receipt, bytes that crossed the public host)."""
    receiver = lab.right.receive()
    before = lab.network.crossed()
    start = time.monotonic()
    sender = lab.left.cli('send', lab.left.contact, folder)
    finished = threading.Event()
    size = sum(count for count in listing(folder).values() if count is not None)

    def watch(event):
        if event is None:
            return
        if event.get('event') == 'progress' and not finished.is_set():
            screen.progress(event['bytes'], event['total'], event.get('rate') or 0)
        elif event.get('event') == 'path':
            screen.say(f'path: {event["path"]}, {event["local"]} -- {event["remote"]}')

    sender.watch = watch
    status = sender.wait_exit(send_seconds(size))
    seconds = time.monotonic() - start
    finished.set()
    if status == 0:
        screen.progress(size, size, 0)
    screen.end_progress()
    if status != 0:
        failed = sender.last_event('failed') or {}
        raise LabError(f'the transfer failed: {failed.get("message") or f"status {status}"}')
    receiver.expect_exit(0, 30)
    return sender.last_event('delivered'), seconds, lab.network.crossed() - before


def demonstrate(screen, size):
    with Lab(Network(LEFT_KIND, RIGHT_KIND)) as lab:
        screen.title('1. Two computers behind two NATs, and a public host')
        show_network(screen, lab)

        screen.title('2. They meet')
        lab.start_coturn()
        screen.say('coturn is up')
        lab.start_rendezvous()
        screen.say(f'porthole-rendezvous is up: {lab.rendezvous}')
        link = lab.introduce()
        screen.say(f'left invites: {link[:40]}...')
        screen.say('right accepts: they are contacts')

        screen.title('3. A folder travels')
        folder = make_folder(lab, size)
        screen.say(f'this source tree and a random file of {size_text(size)}')
        delivered, seconds, crossed = send(screen, lab, folder)

        screen.title('4. What came of it')
        files, total = compare(folder, lab.right.inbox / folder.name)
        screen.say(f'path            {delivered["path"]} over {delivered.get("transport", "quic")}, '
                   f'{delivered["local"]} to {delivered["remote"]}')
        screen.say(f'time to the first byte written, from accepting: {delivered["first_byte_ms"]} ms')
        screen.say(f'speed           {size_text(total / delivered["seconds"])}/s '
                   f'({delivered["seconds"]:.2f} s; {seconds:.2f} s from starting the program to the receipt)')
        good = [
            screen.check(True, f'all {files} files ({total} bytes) compared, byte for byte the same'),
            screen.check(delivered['path'] == 'udp', 'a path punched through both NATs'),
            screen.check(crossed < CROSSING_MAX and crossed < max(total, CROSSING_MAX),
                         f'{crossed} bytes crossed the public host while {total} travelled'),
        ]
        shutil.rmtree(folder)
    return all(good)


def main():
    parser = argparse.ArgumentParser(prog='./run demo')
    parser.add_argument('--headless', action='store_true', help='without a window; there is none yet')
    parser.add_argument('--size', type=int, default=1 << 30, metavar='BYTES', help='of the random file (1 GiB)')
    arguments = parser.parse_args()
    if arguments.size < 0:
        parser.error('--size cannot be negative')
    if missing_programs():
        raise LabError(f'not there yet: {", ".join(missing_programs())}')
    screen = Screen()
    began = time.monotonic()
    good = demonstrate(screen, arguments.size)
    print(f'\n{screen.bold}{"It works." if good else "Something is not as it should be."}{screen.plain} '
          f'({time.monotonic() - began:.0f} s)', flush=True)
    return 0 if good else 1


if __name__ == '__main__':
    try:
        sys.exit(main())
    except LabError as error:
        print(f'\ndemo: {error}\n{getattr(error, "logs", "")}', file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
