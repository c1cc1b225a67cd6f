#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""./run test [--long] [SUITE...]: builds and runs the suites, the last line counts them all.

    unit   the tree's own rules (checks.py), the unit tests, and unit and sim again under the
           address and undefined behaviour sanitizers
    sim    whole stacks on a virtual clock over simulated networks
    fuzz   every codec for some seconds, starting from its committed corpus
    interop  programs that we did not write, at the other end and in between
    lab    the real programs between the kernel's NATs
    chaos  two real programs and an adversary that kills, cuts, fills and hides; --seed N replays one
    ui     the real windows, driven from outside by a screen reader's means, mouse and keys
    flatpak  the Flatpak, built, installed and used in its sandbox

What is counted is the single case: a TAP line, a fuzz target, a lab scenario.
"""

import argparse
import concurrent.futures
import json
import multiprocessing
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.dont_write_bytecode = True
TOP = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TOP / 'tests'), str(TOP / 'tests/lab'), str(TOP / 'tests/interop'), str(TOP / 'tests/chaos')]

import checks  # noqa: E402

SUITES = ('unit', 'sim', 'fuzz', 'interop', 'lab', 'ui', 'chaos', 'flatpak')
FUZZ_SECONDS, FUZZ_SECONDS_LONG = 5, 60
LOG_LINES = 60  # of a failed test, shown
LAB_LOG_LINES = 150  # several programs tell


class Tally:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def ok(self):
        self.passed += 1

    def skip(self, name, why):
        self.skipped += 1
        print(f'skip  {name}: {why}', flush=True)

    def fail(self, name, log='', lines=LOG_LINES):
        self.failed += 1
        said = log.rstrip().splitlines()
        print(f'\nFAIL  {name}', flush=True)
        for line in said[:1] if len(said) > lines else []:
            print(f'      {line}\n      ... (the last {lines} of {len(said)} lines)')
        for line in said[-lines:]:
            print('      ' + line)
        sys.stdout.flush()

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped

    def __str__(self):
        return f'{self.passed} passed, {self.failed} failed, {self.skipped} skipped'


def require_own_network():
    """Tests make networks and send packets: never where the machine's own network can be seen."""
    own = os.readlink('/proc/self/ns/net')
    outer = os.environ.get('PORTHOLE_OUTER_NETNS')
    with open('/proc/self/net/dev', encoding='ascii') as file:
        interfaces = [line.split(':')[0].strip() for line in file if ':' in line]
    if not outer or own == outer or interfaces != ['lo']:
        sys.exit('the tests run in a network namespace of their own: start them with ./run test')


def ticker(text):
    """Shows what is going on, on a terminal only; empty text clears the line."""
    if sys.stderr.isatty():
        columns = os.get_terminal_size(sys.stderr.fileno()).columns
        print('\r\033[K' + text[:columns - 1], end='', file=sys.stderr, flush=True)


def build(kind, *targets):
    environment = dict(os.environ, PORTHOLE_INSIDE='1')
    done = subprocess.run(['bash', str(TOP / 'run'), 'build', kind, *targets], env=environment, check=False)
    return done.returncode == 0


# --- Suites ---------------------------------------------------------------------------------------

def run_checks(tally):
    for function in checks.CHECKS:
        ticker(f'checks: {function.__name__}')
        complaints = list(function())
        if complaints:
            tally.fail(f'checks/{function.__name__}', '\n'.join(complaints))
        else:
            tally.ok()
    ticker('')


TAP_LINE = re.compile(r'^(not )?ok\b\s*\d*\s*(?:-\s*)?([^#]*)(?:#\s*(SKIP|TO[D]O)\S*\s*(.*))?$', re.IGNORECASE)


def count_tap(tally, name, entry):
    """Counts the cases of one test program; a program that failed without a failed case is one more."""
    failed = 0
    log = entry.get('stdout', '') + '\n' + entry.get('stderr', '')
    for line in entry.get('stdout', '').splitlines():
        found = TAP_LINE.match(line)
        if not found:
            continue
        case = f'{name}{found[2].strip()}' if found[2].strip().startswith('/') else f'{name}/{found[2].strip()}'
        if found[1]:
            failed += 1
            tally.fail(case, log if failed == 1 else '')
        elif found[3] and found[3].upper() == 'SKIP':
            tally.skip(case, found[4] or 'no reason given')
        else:
            tally.ok()
    if entry['result'] not in ('OK', 'SKIP', 'EXPECTEDFAIL') and failed == 0:
        tally.fail(f'{name} ({entry["result"].lower()}, exit status {entry["returncode"]})', log)


def run_meson(tally, label, kind, selection, environment=None, patience=1):
    """`meson test` in one of the builds; every case of its TAP programs is counted."""
    directory = TOP / 'build' / kind
    base = 'suite-' + re.sub(r'\W', '-', label)
    log = directory / 'meson-logs' / (base + '.json')
    log.unlink(missing_ok=True)
    argv = ['meson', 'test', '-C', str(directory), '--no-rebuild', '--logbase', base,
            '--timeout-multiplier', str(patience), *selection]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               env=dict(os.environ, **(environment or {})))
    said = []
    for line in process.stdout:
        said.append(line)
        ticker(f'{label}: {line.strip()}')
    process.wait()
    ticker('')
    entries = []
    if log.exists():
        entries = [json.loads(line) for line in log.read_text(encoding='utf-8').splitlines() if line]
    for entry in entries:
        name = f'{label}/{entry["name"].split(" / ")[-1]}'
        if TAP_LINE.search(entry.get('stdout', '').split('\n', 1)[0]) or '\nok ' in '\n' + entry.get('stdout', ''):
            count_tap(tally, name, entry)
        elif entry['result'] in ('OK', 'EXPECTEDFAIL'):
            tally.ok()
        elif entry['result'] == 'SKIP':
            tally.skip(name, 'the program said so')
        else:
            tally.fail(f'{name} ({entry["result"].lower()}, exit status {entry["returncode"]})',
                       entry.get('stdout', '') + '\n' + entry.get('stderr', ''))
    # A suite that runs nothing must not look like one that passes.
    if not entries:
        tally.fail(f'{label} (meson test, exit status {process.returncode})', ''.join(said))


def fuzz_targets():
    """(name, program, corpus, environment) of each fuzz target, as meson knows them."""
    done = subprocess.run(['meson', 'introspect', '--tests', str(TOP / 'build/fuzz')],
                          capture_output=True, text=True, check=True)
    for test in json.loads(done.stdout):
        if any(suite.split(':')[-1] == 'fuzz' for suite in test['suite']):
            yield test['name'], test['cmd'][0], TOP / 'tests/fuzz/corpus' / test['name'], test['env']


def fuzz_one(target, seconds):
    name, program, corpus, environment = target
    found = TOP / 'build/fuzz/found' / name  # what the fuzzer learns; kept for the next run
    found.mkdir(parents=True, exist_ok=True)
    return subprocess.run(
        [program, f'-max_total_time={seconds}', '-max_len=8192', '-timeout=10', '-rss_limit_mb=1500',
         f'-artifact_prefix={found.parent}/{name}-', '-print_final_stats=1', '-verbosity=0', str(found), str(corpus)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace', timeout=seconds + 120,
        env=dict(os.environ, **environment), check=False)


def run_fuzz(tally, seconds):
    targets = list(fuzz_targets())
    if not targets:
        tally.fail('fuzz', 'there are no fuzz targets')
    with concurrent.futures.ThreadPoolExecutor(max_workers=min(2, os.cpu_count() or 1)) as pool:
        jobs = {pool.submit(fuzz_one, target, seconds): target[0] for target in targets}
        for done, job in enumerate(concurrent.futures.as_completed(jobs)):
            ticker(f'fuzz: {done + 1}/{len(jobs)} {jobs[job]}')
            try:
                result = job.result()
            except subprocess.TimeoutExpired:
                tally.fail(f'fuzz/{jobs[job]}', 'it does not end')
                continue
            if result.returncode == 0:
                tally.ok()
            else:
                tally.fail(f'fuzz/{jobs[job]}', result.stdout)
    ticker('')


def run_lab(tally, long, suite='lab'):
    import inbound  # noqa: F401, registers its scenarios, as those below do
    import interop  # noqa: F401
    import ipv6  # noqa: F401
    import nat64  # noqa: F401
    import scenarios
    import two_networks  # noqa: F401
    names = scenarios.names(long, suite)
    workers = min(2, os.cpu_count() or 1)
    with concurrent.futures.ProcessPoolExecutor(workers, multiprocessing.get_context('fork')) as pool:
        jobs = {pool.submit(scenarios.run_one, name): name for name in names}
        for done, job in enumerate(concurrent.futures.as_completed(jobs), 1):
            name = jobs[job]
            ticker(f'{suite}: {done}/{len(names)} {name}')
            outcome, text = job.result() or (None, '')
            if outcome == 'skip':
                tally.skip(f'{suite}/{name}', text)
            elif outcome == 'fail':
                tally.fail(f'{suite}/{name}', text, lines=LAB_LOG_LINES)
            else:
                tally.ok()
    ticker('')


def run_ui(tally, kind, long):
    """The journeys that run this build."""
    run_windows(tally, 'ui', [TOP / 'tests/ui/ui.py', '--build', kind, *(['--long'] if long else [])])


def run_windows(tally, suite, argv):
    """A program that prints an object for each thing it tried. What was measured is shown as well."""
    process = subprocess.Popen([sys.executable, *argv, '--json'], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    said, ended = [], 0
    reader = threading.Thread(target=lambda: said.extend(process.stderr), daemon=True)
    reader.start()
    for line in process.stdout:
        outcome = json.loads(line)
        name = f'{suite}/{outcome["name"]}'
        ended += 1
        ticker(f'{suite}: {ended} {outcome["name"]}')
        if outcome['result'] == 'fail':
            tally.fail(name, outcome['log'], lines=LAB_LOG_LINES)
        elif outcome['result'] == 'skip':
            tally.skip(name, outcome['log'])
        else:
            tally.ok()
            if outcome['log']:
                print(f'{name}: {outcome["log"]}', flush=True)
    process.wait()
    reader.join()
    ticker('')
    if not ended or process.returncode not in (0, 1):
        tally.fail(f'{suite} (exit status {process.returncode})', ''.join(said))


def run_chaos(tally, long, seed):
    import chaos
    # Seeds are fixed, so that a change breaks the runs of whoever made it, and --long takes others along.
    seeds = [seed] if seed is not None else list(range(1, 1 + (chaos.RUNS_LONG if long else chaos.RUNS)))
    for done, (number, outcome, _) in enumerate(chaos.run_seeds(seeds, tell=seed is not None), 1):
        ticker(f'chaos: {done}/{len(seeds)} seed {number}')
        if outcome is None:
            tally.ok()
        else:
            tally.fail(f'chaos/seed {number} (again: ./run test chaos --seed {number})', outcome, lines=LAB_LOG_LINES)
    ticker('')


def run_interop(tally, long):
    run_meson(tally, 'interop', 'release', ['--suite', 'interop'])
    run_lab(tally, long, 'interop')


# --- Main -----------------------------------------------------------------------------------------

def plan(wanted, long, seed):
    """(suite, build, what to call) in order; the build is None where none is needed."""
    environment = {'PORTHOLE_LONG': '1'} if long else {}
    patience = 60 if long else 2
    not_unit = ['--no-suite', 'sim', '--no-suite', 'fuzz', '--no-suite', 'interop']
    seconds = FUZZ_SECONDS_LONG if long else FUZZ_SECONDS
    if 'unit' in wanted:
        yield 'checks', ['release'], run_checks
        yield 'unit', ['release'], lambda tally: run_meson(tally, 'unit', 'release', not_unit,
                                                           {'PH_LONG': '1'} if long else {})
    if 'sim' in wanted:
        yield 'sim', ['release'], lambda tally: run_meson(tally, 'sim', 'release', ['--suite', 'sim'], environment, patience)
    if 'interop' in wanted:
        yield 'interop', ['release'], lambda tally: run_interop(tally, long)
    if 'lab' in wanted:
        yield 'lab', ['release'], lambda tally: run_lab(tally, long)
    if 'ui' in wanted:
        yield 'ui', ['release'], lambda tally: run_ui(tally, 'release', long)
    if 'chaos' in wanted:
        yield 'chaos', ['release'], lambda tally: run_chaos(tally, long, seed)
    if 'unit' in wanted:
        yield 'asan', ['asan'], lambda tally: run_meson(tally, 'asan', 'asan', ['--no-suite', 'fuzz'], {}, 4)
    if 'ui' in wanted:
        yield 'ui random', ['asan'], lambda tally: run_ui(tally, 'asan', long)
    if 'flatpak' in wanted:
        yield 'flatpak', ['release'], lambda tally: run_windows(tally, 'flatpak', [TOP / 'tests/flatpak/flatpak.py'])
    if 'fuzz' in wanted:
        yield 'fuzz', ['fuzz', 'fuzzers'], lambda tally: run_fuzz(tally, seconds)


def main():
    parser = argparse.ArgumentParser(prog='./run test', usage='%(prog)s [--long] [SUITE...]',
                                     description='Suites: ' + ', '.join(SUITES) + '; all of them when none is named.')
    parser.add_argument('--long', action='store_true', help='fuzz for longer, simulate more, all pairs in the lab, more random input')
    parser.add_argument('--seed', type=int, metavar='N', help='chaos: only this run, and tell its story')
    parser.add_argument('suites', nargs='*', metavar='SUITE')
    arguments = parser.parse_args()
    for suite in arguments.suites:
        if suite not in SUITES:
            parser.error(f'there is no suite {suite}; there are {", ".join(SUITES)}')
    if arguments.seed is not None and arguments.suites != ['chaos']:
        parser.error('--seed goes with the suite chaos alone')
    require_own_network()

    total = Tally()
    built, broken = set(), set()
    start = time.monotonic()
    rows = []
    for name, target, suite in plan(arguments.suites or SUITES, arguments.long, arguments.seed):
        kind = target[0]
        if kind not in built and kind not in broken:
            began = time.monotonic()
            if build(*target):
                built.add(kind)
            else:
                broken.add(kind)
                total.fail(f'build {kind}')
            rows.append((f'build {kind}', None, time.monotonic() - began))
        if kind in broken:
            continue
        tally = Tally()
        began = time.monotonic()
        suite(tally)
        seconds = time.monotonic() - began
        rows.append((name, tally, seconds))
        print(f'{name}: {tally}, {seconds:.1f} s', flush=True)
        total.add(tally)

    print('\n' + '-' * 60)
    for name, tally, seconds in rows:
        print(f'{name:<16} {str(tally or ""):<40} {seconds:6.1f} s')
    print(f'{"all":<16} {"":<40} {time.monotonic() - start:6.1f} s')
    print(total)
    return 1 if total.failed or not total.passed else 0


if __name__ == '__main__':
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
