# SPDX-License-Identifier: GPL-3.0-or-later
"""What many people who are online and do nothing cost a rendezvous server: memory, and processor time."""

import os
import subprocess
import time

from measure import cpu_seconds
from network import LabError
from peers import BUILT
from programs import SERVER, Program

SUBNETS = 50  # a server takes 256 connections, and 300 in a short time, from one address
PORT = 443
START_SECONDS = 300
SETTLE_SECONDS = 5
IDLE_SECONDS = 60  # two rounds of keepalive


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


def idle(lab, clients, tls):
    """The row's figures."""
    server, addresses = start_server(lab, tls)
    pid = server.process.pid
    before = memory_mib(pid)[0]
    start = time.monotonic()
    crowd = lab.network.start(lab.network.left, [BUILT / 'bench-idle', clients, *addresses], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True)
    os.set_blocking(crowd.stdout.fileno(), True)
    if crowd.stdout.readline() != 'online\n':
        raise LabError(f'not all of {clients} clients get online')
    seconds = time.monotonic() - start
    time.sleep(SETTLE_SECONDS)
    used, since = cpu_seconds(pid), time.monotonic()
    time.sleep(IDLE_SECONDS)
    share = (cpu_seconds(pid) - used) / (time.monotonic() - since)
    private, resident = memory_mib(pid)
    if crowd.poll() is not None:
        raise LabError('some clients did not stay online')
    crowd.stdin.close()
    crowd.wait(START_SECONDS)
    crowd.stdout.close()
    return {'clients': clients, 'seconds': round(seconds, 2), 'rss_mib': round(private, 1), 'resident_mib': round(resident, 1),
            'kib_per_client': round((private - before) * 1024 / clients, 2), 'core_percent': round(100 * share, 2)}
