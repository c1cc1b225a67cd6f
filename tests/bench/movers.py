# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs that the benchmark compares. Each moves one file from the left host into `folder` on the
right one, and says what that cost."""

import os
import socket
import subprocess
import time

from measure import Cost, MemoryWatch, wait_for
from network import LabError

RUN_SECONDS = 120  # for one file; a program that takes longer is not measured but broken


class Scp:
    """OpenSSH's scp, with a server, keys and settings of its own. One server process a connection, started
    as inetd would, so that its whole cost can be waited for."""

    def __init__(self, lab, name, cipher=None):
        self.lab = lab
        self.name = name
        self.folder = lab.work / name
        self.cipher = cipher

    def set_up(self):
        self.folder.mkdir()
        keys = self.folder / 'keys'
        keys.mkdir(mode=0o700)
        for key in ('host', 'user'):
            subprocess.run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', keys / key], check=True)
        (keys / 'authorized').write_bytes((keys / 'user.pub').read_bytes())
        address = self.lab.network.right.address
        (keys / 'known').write_text(f'[{address}]:2222 ' + (keys / 'host.pub').read_text())
        (keys / 'sshd').write_text('\n'.join([
            f'HostKey {keys}/host', f'AuthorizedKeysFile {keys}/authorized', 'UsePAM no', 'StrictModes no',
            'PermitRootLogin yes', 'PasswordAuthentication no', 'PidFile none', 'PrintMotd no', 'LogLevel ERROR',
            'PerSourcePenalties no', 'Subsystem sftp internal-sftp', '']))
        (keys / 'ssh').write_text('\n'.join([
            'Port 2222', 'User root', f'IdentityFile {keys}/user', f'UserKnownHostsFile {keys}/known', 'BatchMode yes',
            'IdentitiesOnly yes', *([f'Ciphers {self.cipher}'] if self.cipher else []), '']))
        self.keys = keys
        os.makedirs('/run/sshd', exist_ok=True)

    def move(self, source):
        network = self.lab.network
        with network.inside(network.right):
            listener = socket.create_server((network.right.address, 2222))
        listener.settimeout(10)
        cost = Cost()
        with listener, MemoryWatch() as memory, open(self.keys / 'log', 'w+', encoding='utf-8') as log:
            start = time.monotonic()
            client = network.start(network.left, [
                'scp', '-q', '-F', self.keys / 'ssh', source, f'{network.right.address}:{self.folder}/'],
                stdin=subprocess.DEVNULL, stderr=log)
            memory.add('left', client.pid)
            connection = listener.accept()[0]
            with connection:
                server = network.start(network.right, ['/usr/sbin/sshd', '-i', '-e', '-f', self.keys / 'sshd'],
                                       stdin=connection, stdout=connection, stderr=log)
            memory.add('right', server.pid)
            status, cost.cpu_seconds = wait_for(client, RUN_SECONDS)
            cost.seconds = time.monotonic() - start
            if status != 0:
                log.seek(0)
                raise LabError(f'scp ended with status {status}: {log.read()}')
            cost.cpu_seconds += wait_for(server, 10)[1]
        memory.tell(cost)
        return cost


class Porthole:
    """porthole-cli at both ends; the receiver waits, what is timed is the sender's start to its exit, which
    comes after the receiver has synced and checked the file."""

    name = 'porthole'

    def __init__(self, lab):
        self.lab = lab
        self.folder = lab.right.inbox

    def set_up(self):
        self.lab.set_up()

    def move(self, source):
        cost = Cost()
        with MemoryWatch() as memory:
            receiver = self.lab.right.receive()
            receiver.wait_event('status', 20, lambda event: event['status'] == 'online')
            memory.add('right', receiver.process.pid)
            start = time.monotonic()
            sender = self.lab.left.cli('send', self.lab.left.contact, source)
            memory.add('left', sender.process.pid)
            status, cost.cpu_seconds = wait_for(sender.process, RUN_SECONDS)
            cost.seconds = time.monotonic() - start
            sender.wait_exit(10)
            if status != 0:
                raise LabError(f'porthole-cli send ended with status {status}')
            cost.cpu_seconds += wait_for(receiver.process, 10)[1]
        memory.tell(cost)
        receiver.wait_exit(10)
        cost.first_byte_ms = sender.last_event('delivered')['first_byte_ms']
        written = next((event for event in receiver.events
                        if event['event'] == 'received' or event['event'] == 'progress' and event['bytes'] > 0), None)
        # Progress is told five times a second: only a small file's first is its first byte.
        if written and source.stat().st_size < 10_000:
            cost.start_to_first_byte_ms = (written['at'] - start) * 1000
        return cost
