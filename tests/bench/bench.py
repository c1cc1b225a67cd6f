#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""./run bench [--json] [--runs N] [--size BYTES] [--nic] [--profile TOOL] [CASE...]: Porthole and its peers side by side.

Two network namespaces joined by a veth pair of MTU 1500, files from memory to memory, the programs in
turn within each round, medians over the rounds. Machines differ and are noisy: the ratios of one run
count, absolute figures do not.

Cases:
    1gib        one file of 1 GiB (--size for another), process start to exit
    small       100,000 files of 1 to 16 KiB in 1,000 folders (--files for fewer)
    tree        20,000 files in the shape of a kernel's source tree: most are small, a few are large
    lossy-50ms  as 1gib, over a line of 100 Mbit/s, a round trip of 50 ms and 0.1 % loss in either direction
    lossy-100ms the same with 100 ms and 1 %
    clean       the same with 50 ms and no loss. All three end after --seconds: what has arrived by then counts
    gigabit     as 1gib, over a line of 1 Gbit/s (tc tbf): how much of the line is used, and of a core at either end
    gigabit-100ms   over the same line with a round trip of 100 ms: how much of it is used from 3 s after the first byte
    relay       one file between two networks that only a relay (coturn) joins; beside it a plain UDP mover without
                GSO over one wire, and the same through the relay: the ratio of that one is the share of what
                the relay can pass
    resume      a file of ten times --size, cut at nine tenths by killing the sender, the receiver or both: the time
                until it goes on, and what is sent twice
    first-byte  one file of 1 KiB, process start to exit; for Porthole also the time to the first byte
    drop        one file of 1 KiB between two programs that are online, over a round trip of 50 ms: from dropping it to
                the first byte written, with no session yet and with one
    synced      10,000 files of 1 KiB onto a disk, everything synced; beside it movers that sync after every 1,000 files
                and never. Where there is no disk it is left out
    memory      private memory beyond that of a program that waits, for --size and for eight times as much
    hash        as 1gib, and the same without the SHA-256 of the file (a library that is preloaded leaves it out)
    idle        a rendezvous server with --clients clients that are online and do nothing: memory, share of a core,
                and how long a signal between two others takes before they come and beside them
"""

import argparse
import json
import os
import random
import shutil
import statistics
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parent.parent / 'lab')]

from disk import batch_movers, disk_folder  # noqa: E402
from drop import ROUND_TRIP_MS, drop_twice  # noqa: E402
from idle import idle  # noqa: E402
from lines import Watched, line_percent  # noqa: E402
from memory import idle_mib, move_sparse  # noqa: E402
from movers import Porthole  # noqa: E402
from network import LabError, Network, Wire  # noqa: E402
from peers import (BUILT, MagicWormhole, OwnMover, Plain, RelayedUdpMover, RsyncDaemon, RsyncSsh, Scp,  # noqa: E402
                   Syncthing, UdpMover, floor, tls_movers)
from programs import Lab, missing_programs  # noqa: E402
from resume import resume_once  # noqa: E402
from time_spent import TOOLS, profile  # noqa: E402
from trees import PIECE, compare, write_random  # noqa: E402

LINE_KBIT = 100_000  # of the slow lines: 100 Mbit/s
GIGABIT = 10 ** 9
FOUND_SPEED_SECONDS = 3  # what congestion control has to find the speed of a long line
SYNCED_FILES = 10_000
RELAYED_BYTES = 256 << 20
SEED = 20  # of the sizes and contents of trees


def say(text=''):
    print(text, file=sys.stderr, flush=True)


def empty(folder):
    for entry in folder.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def rounds(movers, source, runs, case, settle=lambda: None):
    """{program: [Cost of each round]}; whoever does not deliver the bytes has no figures. `settle` is called before
    each."""
    costs = {mover.name: [] for mover in movers}
    for number in range(runs):
        for mover in movers:
            target = mover.folder / source.name
            settle()
            cost = mover.move(source)
            if cost.bytes is None:
                compare(source, target)
            if hasattr(mover, 'forget'):
                mover.forget(source)
            elif target.is_dir():
                shutil.rmtree(target)
            else:
                empty(mover.folder)
            costs[mover.name].append(cost)
            say(f'{case} {number + 1}/{runs} {mover.name}: {cost.seconds:.3f} s')
    return costs


def median(costs, what):
    values = [getattr(cost, what) for cost in costs if getattr(cost, what) is not None]
    return statistics.median(values) if values else None


def rows(case, size, costs):
    def speed(measured):
        return statistics.median((size if cost.bytes is None else cost.bytes) / cost.seconds for cost in measured)

    porthole = speed(costs['porthole']) if 'porthole' in costs else None
    for program, measured in costs.items():
        seconds = median(measured, 'seconds')
        row = {
            'case': case,
            'program': program,
            'seconds': round(seconds, 4),
            'whole': all(cost.bytes is None for cost in measured),
            'ratio': round(porthole / speed(measured), 3) if porthole and speed(measured) else None,
            'mb_per_second': round(speed(measured) / 1e6, 1 if speed(measured) > 1e8 else 3),
            'cpu_seconds': round(median(measured, 'cpu_seconds'), 3),
            'rss_mib': round(max(max(cost.sender_rss_mib, cost.receiver_rss_mib) for cost in measured), 1),
            'sender_rss_mib': round(max(cost.sender_rss_mib for cost in measured), 1),
            'receiver_rss_mib': round(max(cost.receiver_rss_mib for cost in measured), 1),
            'runs': len(measured),
        }
        for name in ('first_byte_ms', 'start_to_first_byte_ms'):
            if median(measured, name) is not None:
                row[name] = round(median(measured, name), 1)
        yield row


def bench_1gib(movers, work, arguments):
    source = work / 'one-gib.bin'
    write_random(source, arguments.size)
    yield from rows('1gib', arguments.size, rounds(movers, source, arguments.runs, '1gib'))
    source.unlink()


def bench_first_byte(movers, work, arguments):
    source = work / 'small.bin'
    write_random(source, 1024)
    yield from rows('first-byte', 1024, rounds(movers, source, arguments.runs, 'first-byte'))
    source.unlink()


def write_tree(folder, sizes, per_folder, depth=1):
    """Files of these sizes, `per_folder` of them in each folder, folders `depth` deep."""
    generator = random.Random(SEED)
    blob = generator.randbytes(max(sizes) + PIECE)
    for number, size in enumerate(sizes):
        place = folder
        for level in range(depth):
            place = place / f'{number // per_folder // 10 ** (depth - 1 - level):04}'
        if number % per_folder == 0:
            place.mkdir(parents=True)
        start = generator.randrange(PIECE)
        (place / f'{number:06}.bin').write_bytes(blob[start:start + size])
    return sum(sizes)


def move_tree(movers, work, arguments, case, sizes, per_folder, depth=1):
    source = work / case
    source.mkdir()
    size = write_tree(source, sizes, per_folder, depth)
    movers = [mover for mover in movers if not isinstance(mover, (Plain, OwnMover))]
    for row in rows(case, size, rounds(movers, source, arguments.runs, case)):
        row['files_per_second'] = round(len(sizes) / row['seconds'])
        yield row
    shutil.rmtree(source)


def bench_small(movers, work, arguments):
    generator = random.Random(SEED)
    sizes = [generator.randrange(1 << 10, (16 << 10) + 1) for _ in range(arguments.files)]
    yield from move_tree(movers, work, arguments, 'small', sizes, 100)


def bench_tree(movers, work, arguments):
    generator = random.Random(SEED)
    # The logarithm of a source file's size is about normal: the median 5 KB, one in a thousand over 1 MB.
    sizes = [min(4 << 20, int(generator.lognormvariate(8.5, 1.6))) for _ in range(min(20_000, arguments.files))]
    yield from move_tree(movers, work, arguments, 'tree', sizes, 20, depth=4)


def portholes(lab):
    """As people have it, and held to one protocol."""
    return [Porthole(lab), Porthole(lab, 'porthole-udp', only='udp'), Porthole(lab, 'porthole-tcp', only='tcp')]


def bench_slow(case, arguments, round_trip_ms, loss_ppm):
    with Lab(Wire(slow=True)) as lab:
        movers = chosen(arguments, [Scp(lab, 'scp'), Plain(lab, 'tcp-cubic', 'cubic'), Plain(lab, 'tcp-bbr', 'bbr'),
                                    *portholes(lab)])
        for mover in movers:
            mover.set_up()
            mover.limit = arguments.seconds
        lab.network.box.tell(f'delay {round_trip_ms // 2}')
        lab.network.box.tell(f'loss {loss_ppm}')
        lab.network.box.tell(f'rate {LINE_KBIT}')
        source = lab.work / 'one-gib.bin'
        write_random(source, arguments.size)
        for row in rows(case, arguments.size, rounds(movers, source, arguments.runs, case)):
            row['mbit_per_second'] = round(row['mb_per_second'] * 8, 2)
            yield row
        for mover in movers:
            mover.tear_down()


def gigabit_movers(lab):
    return [Plain(lab, 'tcp-cubic', 'cubic'), Plain(lab, 'tcp-bbr', 'bbr'), *portholes(lab)]


def bench_gigabit(arguments):
    with Lab(Wire(rate='1gbit')) as lab:
        movers = chosen(arguments, [Scp(lab, 'scp-aes128gcm', cipher='aes128-gcm@openssh.com'), *gigabit_movers(lab)])
        for mover in movers:
            mover.set_up()
        source = lab.work / 'one-gib.bin'
        write_random(source, arguments.size)
        costs = rounds(movers, source, arguments.runs, 'gigabit')
        for row in rows('gigabit', arguments.size, costs):
            row['line_percent'] = line_percent(arguments.size / row['seconds'], GIGABIT)
            for end in ('sender', 'receiver'):
                row[f'{end}_core_percent'] = round(100 * statistics.median(
                    getattr(cost, f'{end}_cpu_seconds') / cost.seconds for cost in costs[row['program']]), 1)
            yield row


def bench_gigabit_far(arguments):
    with Lab(Wire(slow=True, rate='1gbit')) as lab:
        movers = [Watched(mover, FOUND_SPEED_SECONDS) for mover in chosen(arguments, gigabit_movers(lab))]
        for mover in movers:
            mover.set_up()
        lab.network.box.tell('delay 50')
        source = lab.work / 'one-gib.bin'
        write_random(source, arguments.size)
        costs = rounds(movers, source, arguments.runs, 'gigabit-100ms')
        for row in rows('gigabit-100ms', arguments.size, costs):
            if late := median(costs[row['program']], 'late_bytes_per_second'):
                row['late_line_percent'] = line_percent(late, GIGABIT)
            yield row


def bench_drop(arguments):
    with Lab(Wire(slow=True)) as lab:
        Porthole(lab).set_up()
        lab.network.box.tell(f'delay {ROUND_TRIP_MS // 2}')
        source = lab.work / 'small.bin'
        write_random(source, 1024)
        costs = {'no session': [], 'session': []}
        for number in range(arguments.runs):
            for name, cost in zip(costs, drop_twice(lab, source)):
                costs[name].append(cost)
                say(f'drop {number + 1}/{arguments.runs} {name}: {cost.start_to_first_byte_ms:.0f} ms')
        for row in rows('drop', 1024, costs):
            row['round_trip_ms'] = ROUND_TRIP_MS
            yield row


def bench_synced(arguments):
    if (folder := disk_folder()) is None:
        say('synced: left out, for there is no disk here, only memory')
        return
    with Lab(Wire(), work=folder) as lab:
        movers = chosen(arguments, [*batch_movers(lab), Porthole(lab)])
        for mover in movers:
            mover.set_up()
        source = lab.work / 'synced'
        source.mkdir()
        count = min(SYNCED_FILES, arguments.files)
        size = write_tree(source, [1024] * count, 100)
        for row in rows('synced', size, rounds(movers, source, arguments.runs, 'synced', settle=os.sync)):
            row['files_per_second'] = round(count / row['seconds'])
            yield row


def bench_memory(arguments):
    with Lab(Wire(nic=arguments.nic)) as lab:
        Porthole(lab).set_up()
        waits = {'sender': idle_mib(lab.left), 'receiver': idle_mib(lab.right)}
        source = lab.work / 'sparse.bin'
        for size in (arguments.size, 8 * arguments.size):
            with open(source, 'wb') as file:
                os.truncate(file.fileno(), size)
            for name, protocol in (('porthole-udp', 'udp'), ('porthole-tcp', 'tcp')):
                if arguments.program and name not in arguments.program:
                    continue
                costs = [move_sparse(lab, source, protocol) for _ in range(arguments.runs)]
                for row in rows('memory', size, {f'{name} {size >> 20} MiB': costs}):
                    for end, idle_at in waits.items():
                        row[f'{end}_above_idle_mib'] = round(row[f'{end}_rss_mib'] - idle_at, 1)
                    yield row


def bench_hash(arguments):
    with Lab(Wire(nic=arguments.nic)) as lab:
        movers = chosen(arguments, [Porthole(lab), Porthole(lab, 'porthole-no-hash', preload=BUILT / 'libbench-no-hash.so')])
        for mover in movers:
            mover.set_up()
        source = lab.work / 'one-gib.bin'
        write_random(source, arguments.size)
        for row in rows('hash', arguments.size, rounds(movers, source, arguments.runs, 'hash')):
            if row['program'] == 'porthole-no-hash' and row['ratio']:
                row['hash_costs_percent'] = round(100 * (1 - row['ratio']), 1)
            yield row


def bench_idle(arguments):
    for name, tls in (('rendezvous-ws', False), ('rendezvous-wss', True)):
        if arguments.program and name not in arguments.program:
            continue
        with Lab(Wire()) as lab:
            yield {'case': 'idle', 'program': name, 'ratio': None, 'runs': 1, **idle(lab, arguments.clients, tls)}


def bench_relay(arguments):
    with Lab(Network('symmetric', 'symmetric')) as lab, Lab(Wire()) as wire:
        movers = chosen(arguments, [UdpMover(wire), RelayedUdpMover(lab), Porthole(lab, relayed=True)])
        lab.set_up()
        for mover in movers:
            mover.set_up()
        for person in (lab.left, lab.right):
            person.do('config', 'set', 'guess-ports', 'false')
        source = lab.work / 'relayed.bin'
        write_random(source, min(arguments.size, RELAYED_BYTES))
        yield from rows('relay', source.stat().st_size, rounds(movers, source, arguments.runs, 'relay'))


def bench_resume(arguments):
    with Lab(Wire(nic=arguments.nic)) as lab:
        for mover in chosen(arguments, [Porthole(lab)]):
            mover.set_up()
            source = lab.work / 'large.bin'
            source.touch()
            size = 10 * arguments.size
            os.truncate(source, size)
            for kill in ('sender', 'receiver', 'both'):
                costs, again = [], []
                for number in range(arguments.runs):
                    cost, twice = resume_once(lab, source, kill)
                    costs.append(cost)
                    again.append(100 * twice / size)
                    say(f'resume {number + 1}/{arguments.runs} {kill} killed: goes on after '
                        f'{cost.start_to_first_byte_ms:.0f} ms, {again[-1]:.2f} % more is sent than was missing')
                for row in rows('resume', size // 10, {f'{kill} killed': costs}):
                    row['sent_again_percent'] = round(statistics.median(again), 3)
                    yield row


# One after the other over one wire, and those that make a network of their own.
WIRE_CASES = {'1gib': bench_1gib, 'small': bench_small, 'tree': bench_tree, 'first-byte': bench_first_byte}
OWN_CASES = {
    'lossy-50ms': lambda arguments: bench_slow('lossy-50ms', arguments, 50, 1_000),
    'lossy-100ms': lambda arguments: bench_slow('lossy-100ms', arguments, 100, 10_000),
    'clean': lambda arguments: bench_slow('clean', arguments, 50, 0),
    'gigabit': bench_gigabit,
    'gigabit-100ms': bench_gigabit_far,
    'relay': bench_relay,
    'resume': bench_resume,
    'drop': bench_drop,
    'synced': bench_synced,
    'memory': bench_memory,
    'hash': bench_hash,
    'idle': bench_idle,
}
CASES = (*WIRE_CASES, *OWN_CASES)


def chosen(arguments, movers):
    return [mover for mover in movers if not arguments.program or mover.name in arguments.program]


def bench_wire(cases, arguments):
    with Lab(Wire(nic=arguments.nic)) as lab:
        movers = chosen(arguments, [
            Scp(lab, 'scp'), Scp(lab, 'scp-aes128gcm', cipher='aes128-gcm@openssh.com'), RsyncSsh(lab, 'rsync-ssh'),
            RsyncDaemon(lab, 'rsync-daemon'), MagicWormhole(lab, 'magic-wormhole'), Syncthing(lab, 'syncthing'),
            floor(lab), *tls_movers(lab), *portholes(lab)])
        for mover in movers:
            mover.set_up()
        for case in cases:
            yield from WIRE_CASES[case](movers, lab.work, arguments)
        for mover in movers:
            mover.tear_down()


def show_profile(tool, arguments, wire):
    with Lab(wire) as lab:
        movers = chosen(arguments, portholes(lab)[1:])
        for title, lines in profile(tool, lab, movers, arguments.size):
            print('\n'.join([f'--- {title}', *lines, '']), flush=True)


# What only some cases measure, as the table tells it.
NOTES = {
    'start_to_first_byte_ms': 'first byte {:.0f} ms', 'files_per_second': '{} files a second',
    'line_percent': '{} % of the line', 'late_line_percent': '{} % of the line later on',
    'sender_core_percent': 'sender {} % of a core', 'receiver_core_percent': 'receiver {} %',
    'sender_above_idle_mib': 'sender {} MiB above idle', 'receiver_above_idle_mib': 'receiver {} MiB',
    'hash_costs_percent': 'the hash costs {} %', 'sent_again_percent': '{} % sent again',
    'resident_mib': 'resident {} MiB', 'kib_per_client': '{} KiB a client', 'core_percent': '{} % of a core',
    'signal_alone_ms': 'a signal takes {} ms alone', 'signal_ms': 'beside them {} ms', 'signal_max_ms': 'at most {} ms',
}


def table(case_rows):
    say()
    say(f'{"case":<14}{"program":<21}{"seconds":>9}{"ratio":>8}{"MB/s":>9}{"CPU s":>8}{"MiB":>7}')
    for row in case_rows:
        def cell(name, width, digits):
            return f'{row[name]:>{width}.{digits}f}' if row.get(name) is not None else ' ' * width

        notes = ', '.join(what.format(row[name]) for name, what in NOTES.items() if name in row)
        say(f'{row["case"]:<14}{row["program"]:<21}{cell("seconds", 9, 3)}{cell("ratio", 8, 2)}'
            f'{cell("mb_per_second", 9, 1)}{cell("cpu_seconds", 8, 2)}{cell("rss_mib", 7, 0)}  {notes}'.rstrip())
    say('ratio: its seconds over those of porthole; CPU s: both ends; MiB: peak private memory of the larger end;\n'
        'first byte: from starting the sender (drop: from dropping the file) until there is one at the receiver')


def main():
    parser = argparse.ArgumentParser(prog='./run bench', description=__doc__.partition('\n\n')[2],
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--json', action='store_true', help='one object a row on standard output')
    parser.add_argument('--runs', type=int, default=5, help='rounds; the median is reported (5)')
    parser.add_argument('--size', type=int, default=1 << 30, help='bytes of the file of 1gib')
    parser.add_argument('--files', type=int, default=100_000, help='files of small, and at most those of tree')
    parser.add_argument('--clients', type=int, default=10_000, help='of idle')
    parser.add_argument('--seconds', type=float, default=30, help='what a program has on a slow line; 0: until it is done')
    parser.add_argument('--nic', action='store_true', help='cut segments as a network card would see them')
    parser.add_argument('--program', action='append', help='only this program; may be repeated')
    parser.add_argument('--profile', choices=TOOLS, help='in place of all cases: one transfer over QUIC and one over TLS,'
                        ' and where their time goes')
    parser.add_argument('cases', nargs='*', metavar='CASE')
    arguments = parser.parse_args()
    cases = arguments.cases or CASES
    for case in cases:
        if case not in CASES:
            parser.error(f'there is no case {case}; there are {", ".join(CASES)}')
    if min(arguments.runs, arguments.size, arguments.files) < 1:
        parser.error('--runs, --size and --files are at least 1')
    if missing := missing_programs():
        parser.error(f'not built: {", ".join(missing)}')

    if arguments.profile:
        show_profile(arguments.profile, arguments,
                     Wire(rate='1gbit') if arguments.cases == ['gigabit'] else Wire(nic=arguments.nic))
        return 0
    all_rows = []
    wired = [case for case in cases if case in WIRE_CASES]
    for measured in ([bench_wire(wired, arguments)] if wired else []) + [
            OWN_CASES[case](arguments) for case in cases if case in OWN_CASES]:
        for row in measured:
            all_rows.append(row)
            if arguments.json:
                print(json.dumps(row), flush=True)
    table(all_rows)
    return 0


if __name__ == '__main__':
    try:
        sys.exit(main())
    except LabError as error:
        say(f'bench: {error}\n{getattr(error, "logs", "")}')
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
