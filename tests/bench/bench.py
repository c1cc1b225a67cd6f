#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""./run bench [--json] [--runs N] [--size BYTES] [--nic] [CASE...]: Porthole and its peers side by side.

Two network namespaces joined by a veth pair of MTU 1500, files from memory to memory, the programs in
turn within each round, medians over the rounds. Machines differ and are noisy: the ratios of one run
count, absolute figures do not.

Cases:
    1gib        one file of 1 GiB (--size for another), process start to exit
    small       100,000 files of 1 to 16 KiB in 1,000 folders (--files for fewer)
    tree        20,000 files in the shape of a kernel's source tree: most are small, a few are large
    first-byte  one file of 1 KiB, process start to exit; for Porthole also the time to the first byte
"""

import argparse
import json
import random
import shutil
import statistics
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parent.parent / 'lab')]

from movers import Porthole  # noqa: E402
from network import LabError, Wire  # noqa: E402
from peers import Floor, MagicWormhole, Plain, RsyncDaemon, RsyncSsh, Scp, Syncthing  # noqa: E402
from programs import Lab, missing_programs  # noqa: E402
from trees import PIECE, compare, write_random  # noqa: E402

PLANNED_CASES = ('lossy-50ms', 'lossy-100ms', 'relay')
SEED = 20  # of the sizes and contents of trees


def say(text=''):
    print(text, file=sys.stderr, flush=True)


def rounds(movers, source, runs, case):
    """{program: [Cost of each round]}; whoever does not deliver the bytes has no figures."""
    costs = {mover.name: [] for mover in movers}
    for number in range(runs):
        for mover in movers:
            target = mover.folder / source.name
            cost = mover.move(source)
            compare(source, target)
            if hasattr(mover, 'forget'):
                mover.forget(source)
            elif target.is_dir():
                shutil.rmtree(target)
            else:
                target.unlink()
            costs[mover.name].append(cost)
            say(f'{case} {number + 1}/{runs} {mover.name}: {cost.seconds:.3f} s')
    return costs


def median(costs, what):
    values = [getattr(cost, what) for cost in costs if getattr(cost, what) is not None]
    return statistics.median(values) if values else None


def rows(case, size, costs):
    porthole = median(costs.get('porthole', []), 'seconds')
    for program, measured in costs.items():
        seconds = median(measured, 'seconds')
        row = {
            'case': case,
            'program': program,
            'seconds': round(seconds, 4),
            'ratio': round(seconds / porthole, 3) if porthole else None,
            'mb_per_second': round(size / seconds / 1e6, 1),
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
    movers = [mover for mover in movers if not isinstance(mover, (Plain, Floor))]
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


CASES = {'1gib': bench_1gib, 'small': bench_small, 'tree': bench_tree, 'first-byte': bench_first_byte}


def table(case_rows):
    say()
    say(f'{"case":<12}{"program":<16}{"seconds":>9}{"ratio":>8}{"MB/s":>9}{"CPU s":>8}{"MiB":>7}{"first byte":>12}')
    for row in case_rows:
        first = f'{row["start_to_first_byte_ms"]:.0f} ms' if 'start_to_first_byte_ms' in row else ''
        ratio = f'{row["ratio"]:.2f}' if row['ratio'] else ''
        say(f'{row["case"]:<12}{row["program"]:<16}{row["seconds"]:>9.3f}{ratio:>8}{row["mb_per_second"]:>9.0f}'
            f'{row["cpu_seconds"]:>8.2f}{row["rss_mib"]:>7.0f}{first:>12}')
    say('ratio: its seconds over those of porthole; CPU s: both ends; MiB: peak private memory of the larger end;\n'
        'first byte: from starting the sender until the receiver tells of it, connecting included')


def main():
    parser = argparse.ArgumentParser(prog='./run bench', description='Cases: ' + ', '.join(CASES))
    parser.add_argument('--json', action='store_true', help='one object a row on standard output')
    parser.add_argument('--runs', type=int, default=5, help='rounds; the median is reported (5)')
    parser.add_argument('--size', type=int, default=1 << 30, help='bytes of the file of 1gib')
    parser.add_argument('--files', type=int, default=100_000, help='files of small, and at most those of tree')
    parser.add_argument('--nic', action='store_true', help='cut segments as a network card would see them')
    parser.add_argument('--program', action='append', help='only this program; may be repeated')
    parser.add_argument('cases', nargs='*', metavar='CASE')
    arguments = parser.parse_args()
    for case in arguments.cases:
        if case in PLANNED_CASES:
            parser.error(f'{case}: not there yet')
        if case not in CASES:
            parser.error(f'there is no case {case}; there are {", ".join(CASES)}')
    if min(arguments.runs, arguments.size, arguments.files) < 1:
        parser.error('--runs, --size and --files are at least 1')

    all_rows = []
    with Lab(Wire(nic=arguments.nic)) as lab:
        movers = [Scp(lab, 'scp'), Scp(lab, 'scp-aes128gcm', cipher='aes128-gcm@openssh.com'), RsyncSsh(lab, 'rsync-ssh'),
                  RsyncDaemon(lab, 'rsync-daemon'), MagicWormhole(lab, 'magic-wormhole'), Syncthing(lab, 'syncthing'),
                  Floor(lab, 'floor')]
        if not missing_programs():
            movers.append(Porthole(lab))
        else:
            say('porthole: not built, its rows are left out')
        if arguments.program:
            movers = [mover for mover in movers if mover.name in arguments.program]
        for mover in movers:
            mover.set_up()
        for case in arguments.cases or CASES:
            for row in CASES[case](movers, lab.work, arguments):
                all_rows.append(row)
                if arguments.json:
                    print(json.dumps(row), flush=True)
        for mover in movers:
            mover.tear_down()
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
