# SPDX-License-Identifier: GPL-3.0-or-later
"""What many people who are online and do nothing cost a rendezvous server: memory, and processor time. And how long two
others beside them wait for its help."""

import os
import subprocess
import time

from measure import cpu_seconds
from network import LabError
from peers import BUILT
from programs import SERVER, Program

SUBNETS = 50  # a server takes 256 connections, and 300 in a short time, from one address
PORT = 443
# Clients of one program. Its own main loop looks at all of them for each event, so a large crowd is several.
CROWD = 500
START_SECONDS = 300
SETTLE_SECONDS = 5
IDLE_SECONDS = 100  # two rounds of keepalive
SIGNALS = 200


def memory_mib(pid):
    """(Private memory, everything that is in memory)."""
    with open(f'/proc/{pid}/status', encoding='ascii', errors='replace') as file:
        found = dict(line.split(':', 1) for line in file if line.startswith(('RssAnon:', 'VmRSS:')))
    return tuple(int(found[name].split()[0]) / 1024 for name in ('RssAnon', 'VmRSS'))


def certify(lab):
    """A self-signed certificate, as somebody makes it who has no name on the internet."""
    certificate, key = lab.work / 'meet.pem', lab.work / 'meet.key'
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes',
                    '-days', '2', '-subj', '/CN=meet', '-keyout', key, '-out', certificate], check=True, capture_output=True)
    return certificate, key


def start_server(lab, tls):
    """(Program, the addresses that clients dial)."""
    scheme = 'wss' if tls else 'ws'
    names = [f'{scheme}://{address}:{PORT}' for address in lab.network.add_subnets(SUBNETS)]
    options = ['--listen', f'0.0.0.0:{PORT}', *(f'--origin={name}' for name in names)]
    if tls:
        certificate, key = certify(lab)
        options += ['--tls-cert', certificate, '--tls-key', key]
    server = Program(lab, 'rendezvous', lab.network.right, [SERVER, *options])
    if (line := server.wait_line(20)) is None:
        raise LabError('porthole-rendezvous ended at once')
    pin = line.strip().partition('#')
    return server, [f'{name}/{pin[1]}{pin[2]}' for name in names]


def start_crowd(lab, clients, addresses):
    """Programs with so many clients in all, online one program after the other."""
    crowds = []
    for first in range(0, clients, CROWD):
        crowds.append(crowd := lab.network.start(lab.network.left,
                                                 [BUILT / 'bench-idle', min(CROWD, clients - first), *addresses],
                                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        os.set_blocking(crowd.stdout.fileno(), True)
        if crowd.stdout.readline() != 'online\n':
            raise LabError(f'not all of {clients} clients get online')
    return crowds


def end_crowd(crowds):
    for crowd in crowds:
        if crowd.poll() is not None:
            raise LabError('some clients did not stay online')
        crowd.stdin.close()
    for crowd in crowds:
        crowd.wait(START_SECONDS)
        crowd.stdout.close()


def signal_ms(lab, address):
    """How long a signal from one person to another takes: (median, longest)."""
    talk = lab.network.start(lab.network.left, [BUILT / 'bench-signal', SIGNALS, address], stdout=subprocess.PIPE, text=True)
    out, _ = talk.communicate(timeout=START_SECONDS)
    if talk.returncode != 0:
        raise LabError('two people cannot talk')
    return tuple(float(field) for field in out.split())


def idle(lab, clients, tls):
    """The row's figures."""
    server, addresses = start_server(lab, tls)
    pid = server.process.pid
    alone_ms, _ = signal_ms(lab, addresses[0])
    before = memory_mib(pid)[0]
    start = time.monotonic()
    crowds = start_crowd(lab, clients, addresses)
    seconds = time.monotonic() - start
    time.sleep(SETTLE_SECONDS)
    used, since = cpu_seconds(pid), time.monotonic()
    time.sleep(IDLE_SECONDS)
    share = (cpu_seconds(pid) - used) / (time.monotonic() - since)
    private, resident = memory_mib(pid)
    median_ms, longest_ms = signal_ms(lab, addresses[0])
    end_crowd(crowds)
    return {'clients': clients, 'seconds': round(seconds, 2), 'rss_mib': round(private, 1), 'resident_mib': round(resident, 1),
            'kib_per_client': round((private - before) * 1024 / clients, 2), 'core_percent': round(100 * share, 2),
            'signal_alone_ms': round(alone_ms, 2), 'signal_ms': round(median_ms, 2), 'signal_max_ms': round(longest_ms, 2)}
