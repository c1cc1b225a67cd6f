# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the time of a transfer goes: porthole-cli at both ends under perf or strace (docs/performance.md)."""

import subprocess

from trees import write_random

# cpu-clock is there on virtual machines too.
TOOLS = {
    'perf': ['perf', 'record', '-q', '-e', 'cpu-clock', '-F', '2000', '-o'],
    'stat': ['perf', 'stat', '-e', 'task-clock,user_time,system_time,context-switches,page-faults', '-o'],
    'strace': ['strace', '-c', '-f', '-o'],
}
LINES = 16  # of each table: what comes after is less than a percent


def report(tool, file):
    if tool != 'perf':
        lines = file.read_text(encoding='utf-8').splitlines()
        return [line for line in lines if line and not line.startswith('#')][:LINES]
    lines = []
    for keys in ('comm', 'comm,dso', 'comm,sym'):
        told = subprocess.run(['perf', 'report', '-i', file, '--no-children', '--stdio', '-s', keys], check=True,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout.splitlines()
        lines += [line for line in told if line and not line.startswith('#')][:LINES] + ['']
    return lines


def profile(tool, lab, movers, size):
    """One transfer by each of the movers; (title, lines) for each end of each."""
    source = lab.work / 'profiled.bin'
    write_random(source, size)
    for mover in movers:
        mover.set_up()
    for mover in movers:
        for person in (lab.left, lab.right):
            person.under = [*TOOLS[tool], lab.work / f'{tool}-{person.name}']
        mover.move(source)
        (mover.folder / source.name).unlink()
        for person in (lab.left, lab.right):
            end = 'sender' if person is lab.left else 'receiver'
            yield f'{mover.name}, {end}', report(tool, person.under[-1])
