# SPDX-License-Identifier: GPL-3.0-or-later
"""./run lab --matrix [--json]: a transfer between every two kinds of router, judged by what is possible.

Several networks at once. Prints a table of best path, time to the first byte and time to the first direct path,
and what is not as it has to be; with --json one object a pair and one with the sums. The exit status is 0
only if every pair connects, and every one that can be direct is."""

import concurrent.futures
import json
import multiprocessing
import os
import sys

from lab import transfer
from network import KINDS, LabError, Network
from possible import PAIRS, possible_paths
from programs import Lab
from trees import write_random

# A cell waits more than it computes.
WORKERS_PER_CPU = 2
# A direct path that the file did not take crosses the public host with signals, STUN and keepalives only.
CROSSING_MAX = 200_000


def judge(cell):
    """What is wrong with it, or None."""
    wanted = possible_paths(cell['left_kind'], cell['right_kind'])
    if cell.get('failed'):
        return f'does not connect ({cell["failed"]})'
    if cell['best_path'] not in wanted:
        return f'{cell["best_path"]} at best, {" or ".join(wanted)} is possible'
    if cell['first_byte_ms'] is None:
        return 'no time to the first byte'
    if cell['path'] != 'relay' and cell['crossed'] > CROSSING_MAX and cell['first_path'] != 'relay':
        return f'{cell["crossed"]} bytes crossed the public host, but the path is said to be {cell["path"]}'
    return None


def run_cell(left, right, size, delay_ms):
    """One pair: an object of what happened, with `problem` None if that is as it has to be."""
    cell = {'left_kind': left, 'right_kind': right, 'possible': possible_paths(left, right)}
    try:
        with Lab(Network(left, right, delay_ms=0 if left == 'same-lan' else delay_ms)) as lab:
            lab.set_up()
            path = lab.work / 'matrix.bin'
            write_random(path, size)
            before = lab.network.crossed()
            delivered = transfer(lab, path, ('--timeout', '45'), wait_for_better=True)
            sender = next(program for program in lab.programs if program.name == 'left-send')
            first = next((event['path'] for event in sender.events if event.get('event') == 'path'), None)
            cell.update(crossed=lab.network.crossed() - before, first_path=first)
            cell.update({key: delivered[key] for key in ('path', 'best_path', 'first_byte_ms', 'direct_ms',
                                                         'transport', 'local', 'remote', 'rtt_ms', 'seconds')})
    except LabError as error:
        cell.update(failed=str(error).splitlines()[0])
        cell['log'] = getattr(error, 'logs', '')
    cell['problem'] = judge(cell)
    return cell


def run_cells(pairs, size, delay_ms, done):
    """Runs the pairs, several at a time; `done` is called with each cell."""
    workers = WORKERS_PER_CPU * (os.cpu_count() or 1)
    with concurrent.futures.ProcessPoolExecutor(workers, multiprocessing.get_context('fork')) as pool:
        jobs = [pool.submit(run_cell, *pair, size, delay_ms) for pair in pairs]
        for job in concurrent.futures.as_completed(jobs):
            done(job.result())


# --- Showing --------------------------------------------------------------------------------------

SHORT = {'address-restricted': 'addr-restr', 'port-restricted': 'port-restr', 'symmetric-sequential': 'sym-seq',
         'tcp-443-only': '443-only'}


def cell_text(cell):
    """"udp 44 / 0": the best path, and the milliseconds to the first byte and to the first direct path."""
    if cell.get('failed'):
        text = 'no path'
    else:
        direct = '-' if cell['direct_ms'] is None else cell['direct_ms']
        text = f'{cell["best_path"]} {cell["first_byte_ms"]} / {direct}'
    return ('' if cell['problem'] is None else '! ') + text


def table(cells):
    found = {frozenset((cell['left_kind'], cell['right_kind'])): cell for cell in cells}
    rows = [['', *(SHORT.get(kind, kind) for kind in KINDS)]]
    for number, row in enumerate(KINDS):
        rows.append([SHORT.get(row, row)] + [cell_text(found[frozenset((row, column))]) if index <= number else ''
                                             for index, column in enumerate(KINDS)])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ['  '.join(text.ljust(width) for text, width in zip(row, widths)).rstrip() for row in rows]
    lines.append(f'same-lan: {cell_text(found[frozenset(("same-lan",))])}')
    return '\n'.join(lines)


def main(size, delay_ms, as_json):
    cells = []

    def done(cell):
        cells.append(cell)
        if as_json:
            print(json.dumps({key: value for key, value in cell.items() if key != 'log'}), flush=True)
        elif sys.stderr.isatty():
            print(f'\r\033[K{len(cells)}/{len(PAIRS)}', end='', file=sys.stderr, flush=True)

    run_cells(PAIRS, size, delay_ms, done)
    good = sum(cell['problem'] is None for cell in cells)
    connected = sum('failed' not in cell for cell in cells)
    direct = sum(cell.get('best_path') in ('udp', 'tcp', 'lan') for cell in cells)
    possible = sum('relay' not in cell['possible'] for cell in cells)
    if as_json:
        print(json.dumps({'pairs': len(cells), 'good': good, 'connected': connected, 'direct': direct,
                          'direct_possible': possible}))
    else:
        if sys.stderr.isatty():
            print('\r\033[K', end='', file=sys.stderr)
        print('best path, ms from accepting to the first byte / to the first direct path; ! is not as possible\n')
        print(table(cells))
        for cell in cells:
            if cell['problem']:
                print(f'! {cell["left_kind"]} with {cell["right_kind"]}: {cell["problem"]}')
        print(f'\n{len(cells)} pairs: {connected} connect, {direct} directly ({possible} can), '
              f'{good} as they have to')
    return 0 if good == len(PAIRS) else 1
