#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""./run lab --left KIND --right KIND [--size BYTES] [--json]: one transfer between two kernel NATs.

Makes the network, proves it, starts the servers, makes two people contacts, sends a file from left to
right and compares it. While it goes over the relay the line is slow, for 20 s at most, so that a better path
can appear in mid-file. Prints the `delivered` object of the sender with left_kind, right_kind and both
NAT verdicts added. The exit status is 0 only if the file arrived as it was.

./run lab --matrix [--json]: every pair, see matrix.py."""

import argparse
import json
import sys
import threading

sys.dont_write_bytecode = True

from network import KINDS, LabError, Network  # noqa: E402
from programs import Lab, missing_programs  # noqa: E402
from trees import compare, write_random  # noqa: E402

SEND_SECONDS = 60  # for a file that needs none, plus what its size needs at SLOWEST
SLOWEST = 5_000_000  # bytes a second
BETTER_SECONDS = 20  # for a better path to appear
HELD_SECONDS = 30  # what the file would take on the line while that is waited for


def send_seconds(size):
    return SEND_SECONDS + size / SLOWEST


def transfer(lab, path, options=(), wait_for_better=False):
    """Sends `path` from left to right, compares it, and returns the `delivered` object."""
    size = sum(file.stat().st_size for file in ([path] if path.is_file() else path.rglob('*')))
    patience = send_seconds(size)
    receiver = lab.right.receive()
    held = wait_for_better and lab.left.host.kind != 'same-lan'
    if held:
        lab.network.hold(f'{max(1_000_000, size * 8 // HELD_SECONDS)}bit')
    sender = lab.left.cli('send', lab.left.contact, path, *options)
    if held:
        await_direct(sender)
        lab.network.release()
    sender.expect_exit(0, patience)
    receiver.expect_exit(0, 30)
    compare(path, lab.right.inbox / path.name)
    return sender.last_event('delivered')


def await_direct(sender):
    """Until the transfer is on a direct path or over, or the time for that is."""
    direct = threading.Event()

    def watch(event):
        if event is None or event.get('event') == 'path' and event['path'] != 'relay':
            direct.set()

    sender.watch = watch
    for event in list(sender.events):
        watch(event)
    direct.wait(BETTER_SECONDS)


def nat_report(person):
    """What `nat --json` says, or None where this Porthole cannot tell."""
    client = person.cli('nat')
    if client.wait_exit(60) != 0 or not client.events:
        return None
    return {key: value for key, value in client.events[-1].items() if key != 'at'}


def parse():
    parser = argparse.ArgumentParser(
        prog='./run lab', description='Kinds: ' + ', '.join(KINDS) + ', same-lan (both sides)')
    parser.add_argument('--left', metavar='KIND')
    parser.add_argument('--right', metavar='KIND')
    parser.add_argument('--matrix', action='store_true', help='every pair instead of one')
    parser.add_argument('--size', type=int, default=10_000_000, metavar='BYTES')
    parser.add_argument('--delay', type=int, default=10, metavar='MS',
                        help='what a packet takes from either site to the internet (10); 0: no delay at all')
    parser.add_argument('--json', action='store_true', help='nothing but the object on standard output')
    arguments = parser.parse_args()
    if arguments.size < 0:
        parser.error('--size cannot be negative')
    if arguments.matrix:
        if arguments.left or arguments.right:
            parser.error('--matrix is every pair')
        return arguments
    if not (arguments.left and arguments.right):
        parser.error('--left KIND and --right KIND, or --matrix')
    for kind in (arguments.left, arguments.right):
        if kind not in KINDS and kind != 'same-lan':
            parser.error(f'{kind}: no such kind; there are {", ".join(KINDS)} and same-lan')
    if (arguments.left == 'same-lan') != (arguments.right == 'same-lan'):
        parser.error('same-lan is a kind of both sides')
    return arguments


def main():
    arguments = parse()
    if missing_programs():
        raise LabError(f'not there yet: {", ".join(missing_programs())}')
    if arguments.matrix:
        import matrix
        return matrix.main(arguments.size, arguments.delay, arguments.json)

    def say(text):
        if not arguments.json:
            print(text, file=sys.stderr, flush=True)

    say(f'{arguments.left} to {arguments.right}, {arguments.size} bytes')
    with Lab(Network(arguments.left, arguments.right, delay_ms=arguments.delay)) as lab:
        say('the network is up, and no host can be reached from outside but as its kind says')
        lab.set_up()
        say('the two people are contacts')
        path = lab.work / 'lab.bin'
        write_random(path, arguments.size)
        before = lab.network.crossed()
        delivered = transfer(lab, path, wait_for_better=True)
        crossed = lab.network.crossed() - before
        say('the file arrived as it was')
        delivered.pop('at', None)
        delivered.update(left_kind=arguments.left, right_kind=arguments.right, bytes_at_public_host=crossed,
                         left_nat=nat_report(lab.left), right_nat=nat_report(lab.right))
    print(json.dumps(delivered, ensure_ascii=False), flush=True)
    return 0


if __name__ == '__main__':
    try:
        sys.exit(main())
    except LabError as error:
        print(f'lab: {error}\n{getattr(error, "logs", "")}', file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
