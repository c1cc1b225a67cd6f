# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs that Porthole is compared with. Each moves one file or folder from the left host into
`folder` on the right one, and says what that cost.

Servers are started for one connection, as inetd would, wherever the program can be served so: then the
whole cost of both ends can be waited for."""

import base64
import hmac
import json
import os
import secrets
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
import xml.etree.ElementTree as xml
from pathlib import Path

from measure import Cost, MemoryWatch, cpu_seconds, ends_within, wait_for
from network import LabError
from programs import STUN_PORT

HERE = Path(__file__).resolve().parent
TOP = HERE.parent.parent
RUN_SECONDS = 300  # a program that takes longer is not measured but broken
START_SECONDS = 20
BUILT = TOP / 'build/release/tests/bench'


def wait_until(true, seconds, what, pause=0.005):
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise LabError(f'{what}: not within {seconds:.0f} s')
        time.sleep(pause)


class Peer:
    """A program to compare with."""

    def __init__(self, lab, name):
        self.lab = lab
        self.network = lab.network
        self.name = name
        self.folder = lab.work / name
        self.limit = None  # seconds, for lines on which some programs take hours

    def set_up(self):
        self.folder.mkdir()

    def tear_down(self):
        pass

    def run(self, client, server, port):
        """Times a client on the left that talks to a server on the right, started when it connects. `limit` ends
        both, and what has arrived by then counts."""
        with self.network.inside(self.network.right):
            listener = socket.create_server((self.network.right.address, port))
        listener.settimeout(START_SECONDS)
        cost = Cost()
        with listener, MemoryWatch() as memory, open(self.folder / 'log', 'w+', encoding='utf-8') as log:
            start = time.monotonic()
            left = self.network.start(self.network.left, client, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            memory.add('left', left.pid)
            connection = listener.accept()[0]
            with connection:
                right = self.network.start(self.network.right, server, stdin=connection, stdout=connection, stderr=log)
            memory.add('right', right.pid)
            if self.limit and not ends_within(left, self.limit):
                return self._cut_off(start, left, right, cost, memory)
            status, cost.sender_cpu_seconds = wait_for(left, RUN_SECONDS)
            cost.seconds = time.monotonic() - start
            if status != 0:
                log.seek(0)
                raise LabError(f'{self.name} ended with status {status}: {log.read()}')
            cost.receiver_cpu_seconds = wait_for(right, START_SECONDS)[1]
        memory.tell(cost)
        (self.folder / 'log').unlink()
        return cost

    def _cut_off(self, start, left, right, cost, memory):
        cost.seconds = time.monotonic() - start
        (self.folder / 'log').unlink()
        cost.bytes = sum(entry.stat().st_size for entry in self.folder.iterdir())
        for process in (left, right):
            process.kill()
        cost.sender_cpu_seconds = wait_for(left, START_SECONDS)[1]
        cost.receiver_cpu_seconds = wait_for(right, START_SECONDS)[1]
        memory.tell(cost)
        return cost


class Ssh(Peer):
    """OpenSSH with a server, keys and settings of its own."""

    def __init__(self, lab, name, cipher=None):
        super().__init__(lab, name)
        self.cipher = cipher

    def set_up(self):
        super().set_up()
        keys = self.keys = self.lab.work / f'{self.name}-keys'
        keys.mkdir(mode=0o700)
        for key in ('host', 'user'):
            subprocess.run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', keys / key], check=True)
        (keys / 'authorized').write_bytes((keys / 'user.pub').read_bytes())
        address = self.network.right.address
        (keys / 'known').write_text(f'[{address}]:2222 ' + (keys / 'host.pub').read_text())
        (keys / 'sshd').write_text('\n'.join([
            f'HostKey {keys}/host', f'AuthorizedKeysFile {keys}/authorized', 'UsePAM no', 'StrictModes no',
            'PermitRootLogin yes', 'PasswordAuthentication no', 'PidFile none', 'PrintMotd no', 'LogLevel ERROR',
            'PerSourcePenalties no', 'Subsystem sftp internal-sftp', '']))
        (keys / 'ssh').write_text('\n'.join([
            'Port 2222', 'User root', f'IdentityFile {keys}/user', f'UserKnownHostsFile {keys}/known', 'BatchMode yes',
            'IdentitiesOnly yes', *([f'Ciphers {self.cipher}'] if self.cipher else []), '']))
        os.makedirs('/run/sshd', exist_ok=True)

    def over_ssh(self, client):
        return self.run(client, ['/usr/sbin/sshd', '-i', '-e', '-f', self.keys / 'sshd'], 2222)


class Scp(Ssh):
    def move(self, source):
        return self.over_ssh(['scp', '-q', '-r', '-F', self.keys / 'ssh', source,
                              f'{self.network.right.address}:{self.folder}/'])


class RsyncSsh(Ssh):
    def move(self, source):
        return self.over_ssh(['rsync', '-a', '-W', '-e', f'ssh -F {self.keys}/ssh', source,
                              f'{self.network.right.address}:{self.folder}/'])


class RsyncDaemon(Peer):
    """Neither encrypts nor hashes what it has just written."""

    def set_up(self):
        super().set_up()
        self.config = self.lab.work / 'rsyncd.conf'
        self.config.write_text(f'use chroot = no\nuid = 0\ngid = 0\n[inbox]\npath = {self.folder}\nread only = no\n')

    def move(self, source):
        return self.run(['rsync', '-a', '-W', source, f'rsync://{self.network.right.address}/inbox/'],
                        ['rsync', '--daemon', f'--config={self.config}'], 873)


class Plain(Peer):
    """One file over TCP without encryption, hash or anything, with the given congestion control."""

    def __init__(self, lab, name, congestion):
        super().__init__(lab, name)
        self.congestion = congestion

    def move(self, source):
        mover = ['python3', HERE / 'plain_mover.py']
        return self.run([*mover, 'send', source, self.network.right.address, 7000, self.congestion],
                        [*mover, 'take', self.folder / source.name], 7000)


class OwnMover(Peer):
    """One file moved by a program of ours: `PROGRAM take ADDRESS FILE` and `PROGRAM send ADDRESS FILE`."""

    def __init__(self, lab, name, program, *options, both=False, taker_options=()):
        super().__init__(lab, name)
        self.program = BUILT / program
        self.options = options  # of the sender, or of `both`
        self.taker_options = options if both else taker_options

    def move(self, source):
        address = f'{self.network.right.address}:7001'
        return self.pair(('right', ['take', address, self.folder / source.name, *self.taker_options]),
                         lambda _line: ('left', ['send', address, source, *self.options]))

    def pair(self, first, second):
        """Times `second`, which is told the line that `first` prints when it is there. Both are (side, arguments)."""
        cost = Cost()
        side, arguments = first
        with MemoryWatch() as memory:
            there = self.network.start(getattr(self.network, side), [self.program, *arguments],
                                       stdout=subprocess.PIPE, text=True)
            memory.add(side, there.pid)
            side, arguments = second(there.stdout.readline().strip())
            start = time.monotonic()
            other = self.network.start(getattr(self.network, side), [self.program, *arguments])
            memory.add(side, other.pid)
            status, other_cpu = wait_for(other, RUN_SECONDS)
            cost.seconds = time.monotonic() - start
            there_status, there_cpu = wait_for(there, START_SECONDS)
            there.stdout.close()
        cost.sender_cpu_seconds, cost.receiver_cpu_seconds = (
            (other_cpu, there_cpu) if side == 'left' else (there_cpu, other_cpu))
        if status != 0 or there_status != 0:
            raise LabError(f'{self.name} ended with status {status}, {there_status}')
        memory.tell(cost)
        return cost


class UdpMover(OwnMover):
    """A file over plain UDP, a system call for each datagram."""

    def __init__(self, lab, name='udp-no-gso'):
        super().__init__(lab, name, 'bench-udp')

    def move(self, source):
        address = f'{self.network.right.address}:7001'
        return self.pair(('right', ['take', self.folder / source.name, 'listen', address]),
                         lambda there: ('left', ['send', source, 'to', there]))


class RelayedUdpMover(UdpMover):
    """The same through the lab's coturn, over a channel of the sender's: what the relay can pass."""

    def __init__(self, lab):
        super().__init__(lab, 'udp-relayed')

    def move(self, source):
        user = f'{int(time.time()) + RUN_SECONDS}:bench'
        password = base64.b64encode(hmac.digest(self.lab.turn_secret.read_bytes(), user.encode(), 'sha1')).decode()
        relay = ['relay', f'{self.network.public.address}:{STUN_PORT}', user, password, self.network.right.public]
        return self.pair(('left', ['send', source, *relay]),
                         lambda there: ('right', ['take', self.folder / source.name, 'to', there]))


def floor(lab):
    """An encrypted GSO loop without a protocol: what QUIC with GnuTLS cannot go below."""
    return OwnMover(lab, 'floor', 'bench-floor')


def tls_movers(lab):
    """TLS 1.3 over TCP without resume, without a hash and with the one that a receipt takes."""
    return [OwnMover(lab, 'tls', 'bench-tls'), OwnMover(lab, 'tls-sha256', 'bench-tls', 'sha256', both=True)]


class MagicWormhole(Peer):
    """With a mailbox server on the right host; the connection for the bytes is direct."""

    def set_up(self):
        super().set_up()
        address = self.network.right.address
        self.common = ['wormhole', '--relay-url', f'ws://{address}:4000/v1', '--transit-helper', f'tcp:{address}:4001']
        self.server = self.network.start(
            self.network.right, ['twist3', 'wormhole-mailbox', '--port', f'tcp:4000:interface={address}',
                                 '--channel-db', self.lab.work / 'mailbox.sqlite'],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(self._answers, START_SECONDS, 'the mailbox server of magic-wormhole')

    def _answers(self):
        with self.network.inside(self.network.right):
            probe = socket.socket()
        with probe:
            return probe.connect_ex((self.network.right.address, 4000)) == 0

    def tear_down(self):
        self.server.kill()
        self.server.wait()

    def move(self, source):
        code = f'1-{secrets.token_hex(8)}'
        env = dict(os.environ, LC_ALL='C.UTF-8')
        cost = Cost()
        with MemoryWatch() as memory, open(self.lab.work / 'wormhole.log', 'w+', encoding='utf-8') as log:
            right = self.network.start(
                self.network.right, [*self.common, 'receive', '--accept-file', '--hide-progress', '-o',
                                     self.folder / source.name, code],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env)
            memory.add('right', right.pid)
            start = time.monotonic()
            left = self.network.start(self.network.left, [*self.common, 'send', '--hide-progress', '--code', code, source],
                                      stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env)
            memory.add('left', left.pid)
            status, cost.sender_cpu_seconds = wait_for(left, RUN_SECONDS)
            right_status, cost.receiver_cpu_seconds = wait_for(right, RUN_SECONDS)
            cost.seconds = time.monotonic() - start
            if status != 0 or right_status != 0:
                log.seek(0)
                raise LabError(f'magic-wormhole ended with status {status}, {right_status}: {log.read()}')
        memory.tell(cost)
        return cost


class Syncthing(Peer):
    """Two instances that share a folder over a static address; timed from the moment when a scan is asked for
    until the last file is there under its name."""

    PORT, GUI = 22000, 8384

    def set_up(self):
        super().set_up()
        self.sides = {}
        for name, host in (('left', self.network.left), ('right', self.network.right)):
            home = self.lab.work / f'syncthing-{name}'
            subprocess.run(['syncthing', 'generate', f'--home={home}', '--no-default-folder', '--skip-port-probing'],
                           check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                           env=dict(os.environ, HOME=str(self.lab.work)))
            device = subprocess.run(['syncthing', 'serve', f'--home={home}', '--device-id'], check=True,
                                    capture_output=True, text=True, env=dict(os.environ, HOME=str(self.lab.work)))
            shared = self.folder if name == 'right' else self.lab.work / 'syncthing-shared'
            shared.mkdir(exist_ok=True)
            (shared / '.stfolder').mkdir()
            self.sides[name] = {'host': host, 'home': home, 'id': device.stdout.strip(), 'shared': shared}
        for name, other in (('left', 'right'), ('right', 'left')):
            self._configure(self.sides[name], self.sides[other])
        for side in self.sides.values():
            side['process'] = self.network.start(
                side['host'], ['syncthing', 'serve', f'--home={side["home"]}', '--no-browser', '--no-restart',
                               '--no-upgrade'],
                stdout=open(side['home'] / 'log', 'w', encoding='utf-8'), stderr=subprocess.STDOUT,
                env=dict(os.environ, HOME=str(self.lab.work), STNOUPGRADE='1'))
        left = self.sides['left']
        wait_until(lambda: self._connected(left), 3 * START_SECONDS, 'syncthing', 0.1)

    def _configure(self, side, other):
        path = side['home'] / 'config.xml'
        tree = xml.parse(path)
        root = tree.getroot()
        side['key'] = root.find('gui/apikey').text
        root.find('gui/address').text = f'{side["host"].address}:{self.GUI}'
        options = root.find('options')
        for name, value in (('listenAddress', f'tcp://{side["host"].address}:{self.PORT}'),
                            ('globalAnnounceEnabled', 'false'), ('localAnnounceEnabled', 'false'),
                            ('relaysEnabled', 'false'), ('natEnabled', 'false'), ('urAccepted', '-1'),
                            ('crashReportingEnabled', 'false'), ('reconnectionIntervalS', '1'),
                            ('autoUpgradeIntervalH', '0'), ('startBrowser', 'false')):
            for old in options.findall(name):
                options.remove(old)
            xml.SubElement(options, name).text = value
        device = xml.SubElement(root, 'device', id=other['id'], name='other', compression='never')
        xml.SubElement(device, 'address').text = f'tcp://{other["host"].address}:{self.PORT}'
        folder = xml.SubElement(root, 'folder', id='bench', path=str(side['shared']), type='sendreceive',
                                rescanIntervalS='0', fsWatcherEnabled='false')
        for identity in (side['id'], other['id']):
            xml.SubElement(folder, 'device', id=identity)
        tree.write(path)

    def _ask(self, side, path, method='GET'):
        with self.network.inside(side['host']):
            request = urllib.request.Request(f'http://{side["host"].address}:{self.GUI}/rest/{path}', method=method,
                                             headers={'X-API-Key': side['key']})
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
                return json.loads(answer.read() or b'null')

    def _connected(self, side):
        try:
            connections = self._ask(side, 'system/connections')['connections']
        except (urllib.error.URLError, OSError):
            return False
        return any(connection['connected'] for connection in connections.values())

    def tear_down(self):
        for side in self.sides.values():
            side['process'].kill()
            side['process'].wait()

    def _files(self, path):
        if path.is_file():
            return 1
        return sum(1 for _, _, names in os.walk(path) for name in names if not name.startswith('.syncthing.'))

    def move(self, source):
        left, right = self.sides['left'], self.sides['right']
        placed, target = left['shared'] / source.name, right['shared'] / source.name
        if source.is_dir():
            shutil.copytree(source, placed, copy_function=os.link)
        else:
            os.link(source, placed)
        wanted = self._files(source)
        cost = Cost()
        pids = [side['process'].pid for side in self.sides.values()]
        with MemoryWatch() as memory:
            memory.add('left', pids[0])
            memory.add('right', pids[1])
            before = [cpu_seconds(pid) for pid in pids]
            start = time.monotonic()
            self._ask(left, 'db/scan?folder=bench', 'POST')
            wait_until(lambda: target.exists() and self._files(target) == wanted, RUN_SECONDS, 'syncthing', 0.02)
            cost.seconds = time.monotonic() - start
            cost.sender_cpu_seconds, cost.receiver_cpu_seconds = (
                cpu_seconds(pid) - used for pid, used in zip(pids, before))
        memory.tell(cost)
        return cost

    def forget(self, source):
        """Takes a moved file away from both sides, so that the next round moves it again."""
        placed = self.sides['left']['shared'] / source.name
        if placed.is_dir():
            shutil.rmtree(placed)
        else:
            placed.unlink()
        self._ask(self.sides['left'], 'db/scan?folder=bench', 'POST')
        target = self.folder / source.name
        wait_until(lambda: not target.exists(), RUN_SECONDS, 'syncthing forgets', 0.05)
