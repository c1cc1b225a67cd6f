# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs of the lab: coturn and porthole-rendezvous on the public host, porthole-cli for two
people. Everything has a time limit, and everything that is said is kept in a log that a failure shows."""

import json
import os
import queue
import secrets
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from network import BOX, Host, LabError, run, within

TOP = Path(__file__).resolve().parent.parent.parent
CLI = TOP / 'build/release/app/cli/porthole-cli'
SERVER = TOP / 'build/release/net/rendezvous/porthole-rendezvous'

STUN_PORT = 3478
TURNS_PORT = RENDEZVOUS_PORT = 443  # on different addresses; what is let out where little is
PROXY_PORT = 8080
NAMED_PORT = 8443  # of a rendezvous at all addresses; 443 is taken at some
START_SECONDS = 20  # until a server answers; a loaded machine needs a few
LOG_LINES = 30  # of each program, shown with a failure


def in_uri(address):
    return f'[{address}]' if ':' in address else address


# What miniupnpd expects to find; the input rule lets the LAN talk to it.
PORT_MAPPER_RULES = '''
add rule ip router own iifname lan accept
table inet mapper {
  chain miniupnpd { }
  chain prerouting_miniupnpd { }
  chain postrouting_miniupnpd { }
  chain forward { type filter hook forward priority -5; policy accept; jump miniupnpd; }
  chain prerouting { type nat hook prerouting priority -105; policy accept; jump prerouting_miniupnpd; }
  chain postrouting { type nat hook postrouting priority 95; policy accept; jump postrouting_miniupnpd; }
}
'''


class Program:
    """A running program; its lines go to a log, and to whoever waits for them."""

    def __init__(self, lab, name, host, argv, text=None, env=None, stdin=subprocess.DEVNULL):
        self.name = name
        self.argv = [str(part) for part in argv]
        self.log = lab.logs / f'{len(lab.programs):02}-{name}.log'
        self.lines = queue.Queue()
        self.events = []  # JSON objects seen so far
        self.watch = None  # called with each event as it arrives, None at the end, on the reading thread
        self._file = open(self.log, 'w', encoding='utf-8')
        self._file.write('$ ' + ' '.join(self.argv) + '\n')
        self._file.flush()
        lab.programs.append(self)
        self.process = lab.network.start(
            host, self.argv, stdin=subprocess.PIPE if text is not None else stdin,
            stdout=subprocess.PIPE, stderr=self._file, text=True, encoding='utf-8', errors='replace',
            env={**os.environ, 'LC_ALL': 'C.UTF-8', **(env or {})})
        if text is not None:
            self.process.stdin.write(text)
            self.process.stdin.close()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self._file.write(line)
            self._file.flush()
            if line.startswith('{'):
                try:
                    event = json.loads(line)
                except ValueError:
                    event = {'event': 'malformed', 'line': line}
                event['at'] = time.monotonic()
                self.events.append(event)
                if self.watch:
                    self.watch(event)
            self.lines.put(line)
        self.lines.put(None)
        if self.watch:
            self.watch(None)

    def wait_line(self, timeout):
        """The next line it prints, None at its end."""
        try:
            return self.lines.get(timeout=timeout)
        except queue.Empty:
            raise LabError(f'{self.name} printed nothing for {timeout:.0f} s') from None

    def wait_event(self, kind, timeout, accept=lambda event: True):
        """The next JSON event of this kind."""
        deadline = time.monotonic() + timeout
        while (line := self.wait_line(max(0.1, deadline - time.monotonic()))) is not None:
            if line.startswith('{'):
                event = json.loads(line)
                if event.get('event') == kind and accept(event):
                    return event
        code = self.process.wait(timeout=10)
        raise LabError(f'{self.name} ended with status {code} before it printed "{kind}"')

    def wait_exit(self, timeout):
        try:
            code = self.process.wait(timeout=timeout)
        except subprocess.TimeoutExpired:
            raise LabError(f'{self.name} still ran after {timeout:.0f} s') from None
        while self.lines.get(timeout=10) is not None:
            pass  # until the reader has put down the last line
        return code

    def expect_exit(self, wanted, timeout):
        code = self.wait_exit(timeout)
        if code != wanted:
            raise LabError(f'{self.name} ended with status {code}, not {wanted}')

    def last_event(self, kind):
        return next((event for event in reversed(self.events) if event.get('event') == kind), None)

    def kill(self):
        """As a crash would end it: no warning, nothing written."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


class Person:
    """A host with a profile of its own."""

    def __init__(self, lab, name, host):
        self.lab = lab
        self.name = name
        self.host = host
        self.profile = lab.work / name / 'profile'
        self.inbox = lab.work / name / 'inbox'
        self.inbox.mkdir(parents=True)
        home = lab.work / name / 'home'
        home.mkdir()
        self.env = {'HOME': str(home), 'XDG_CONFIG_HOME': f'{home}/.config', 'XDG_DATA_HOME': f'{home}/.local/share',
                    'XDG_CACHE_HOME': f'{home}/.cache', 'XDG_RUNTIME_DIR': str(home)}
        self.contact = None  # how this person calls the other
        self.under = []  # a program, with its options, that runs porthole-cli: perf, strace

    def cli(self, *arguments, text=None, stdin=subprocess.DEVNULL):
        """Starts porthole-cli; its events are JSON."""
        argv = [*self.under, CLI, '--profile', self.profile, '--json', *arguments]
        return Program(self.lab, f'{self.name}-{arguments[0]}', self.host, argv, text=text, env=self.env,
                       stdin=stdin)

    def do(self, *arguments, text=None, timeout=30, status=0):
        """Runs porthole-cli to its end, which must be `status`, and returns it."""
        client = self.cli(*arguments, text=text)
        client.expect_exit(status, timeout)
        return client

    def id(self):
        return self.do('id').last_event('id')['id']

    def receive(self, *options, count=1):
        return self.cli('receive', '--accept', '--to', self.inbox, '--count', str(count), *options)


class Lab:
    """A network (Network or Wire) with its servers and two people. Use it in a `with`."""

    def __init__(self, network, work=None):
        self.network = network
        self.programs = []
        self._work_parent = work
        self.work = self.logs = None
        self.left = self.right = None
        self.rendezvous = self.rendezvous_program = None
        self.authority = None  # the certificate that vouches for the lab's own

    def __enter__(self):
        self.work = Path(tempfile.mkdtemp(prefix='lab-', dir=self._work_parent or memory_folder()))
        self.logs = self.work / 'logs'
        self.logs.mkdir()
        try:
            self.network.__enter__()
            self.network.check()
            self.network.slow_down()
            self.left = Person(self, 'left', self.network.left)
            self.right = Person(self, 'right', self.network.right)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind, error, trace):
        self.network.__exit__(kind, error, trace)
        if isinstance(error, Exception) and not hasattr(error, 'logs'):
            error.logs = self.log_tails()
        shutil.rmtree(self.work, ignore_errors=True)

    def log_tails(self):
        """The end of every program's log, for a person who looks at a failure."""
        parts = []
        for program in self.programs:
            lines = program.log.read_text(encoding='utf-8', errors='replace').splitlines()
            head, tail = lines[:1], lines[1:]
            if len(tail) > LOG_LINES:
                head.append(f'... {len(tail) - LOG_LINES} lines left out')
            parts.append('\n'.join([f'--- {program.name}'] + head + tail[-LOG_LINES:]))
        return '\n'.join(parts)

    # --- Servers ----------------------------------------------------------------------------------

    def start_coturn(self, *options, addresses=None):
        """STUN with RFC 5780 (that is what the two addresses are for), and TURN over UDP, TCP and TLS. One that is
        started again has the same secret."""
        self.turn_secret = self.work / 'turn-secret'
        if not self.turn_secret.exists():
            self.turn_secret.write_text(secrets.token_hex(16))
            self.turn_secret.chmod(0o600)
        listen = [option for address in self.network.public_addresses[:addresses] for option in ('-L', address)]
        certificate, key = self.certify('relay', self.network.public_addresses)
        coturn = Program(self, 'coturn', self.network.public, [
            'turnserver', '-n', *listen, '-p', STUN_PORT, '--use-auth-secret',
            f'--static-auth-secret={self.turn_secret.read_text()}', '--realm=lab', '--no-dtls',
            f'--tls-listening-port={TURNS_PORT}', f'--cert={certificate}', f'--pkey={key}',
            '--no-cli', '--log-file=stdout', '--simple-log', f'--pidfile={self.work}/coturn.pid',
            f'--userdb={self.work}/coturn.db', *options])
        self._await_stun(coturn, addresses)
        return coturn

    def start_shipped_coturn(self):
        """coturn with the settings that Porthole ships, after what its owner has to do: addresses and secret."""
        self.turn_secret = self.work / 'turn-secret'
        self.turn_secret.write_text(secrets.token_hex(16))
        settings = (TOP / 'data/server/turnserver.conf').read_text(encoding='utf-8')
        for sample, own in zip(('198.51.100.10', '198.51.100.11'), self.network.public_addresses):
            settings = settings.replace(f'listening-ip={sample}', f'listening-ip={own}')
        path = self.work / 'turnserver.conf'
        path.write_text(settings.replace('CHANGE-ME', self.turn_secret.read_text()), encoding='utf-8')
        path.chmod(0o600)
        coturn = Program(self, 'coturn', self.network.public, [
            'turnserver', '-c', path, '--log-file=stdout', f'--pidfile={self.work}/coturn.pid', f'--userdb={self.work}/coturn.db'])
        self._await_stun(coturn)
        return coturn

    def start_port_mapper(self, host, router, mappings=True, upnp=True):
        """miniupnpd on the router before `host`: PCP and NAT-PMP (`mappings`), UPnP (`upnp`)."""
        namespace = Host(self.network.prefix + router, '', '')
        # In a table of its own; the router's own rules let through what was redirected.
        run(within(namespace.name, ['nft', '-f', '-']), PORT_MAPPER_RULES)
        settings = self.work / f'{router}-mapper.conf'
        settings.write_text('\n'.join([
            'ext_ifname=wan', 'listening_ip=lan', 'http_port=5000', 'secure_mode=yes', 'system_uptime=no',
            'ext_allow_private_ipv4=yes', f'ext_ip={host.public}', 'ipv6_disable=yes', 'upnp_table_name=mapper', 'upnp_nat_table_name=mapper',
            f'enable_pcp_pmp={"yes" if mappings else "no"}', f'enable_upnp={"yes" if upnp else "no"}',
            'uuid=00000000-0000-4000-8000-000000000001', 'min_lifetime=120', 'max_lifetime=86400',
            f'lease_file={self.work}/{router}-leases', f'allow 1024-65535 {host.inner} 1024-65535',
            'deny 0-65535 0.0.0.0/0 0-65535', '']))
        mapper = Program(self, f'{router}-mapper', namespace, [
            'miniupnpd', '-d', '-f', settings, '-P', f'{self.work}/{router}-mapper.pid'])
        self._await_port_mapper(mapper, namespace, upnp)
        return mapper

    def _await_port_mapper(self, mapper, namespace, upnp):
        deadline = time.monotonic() + START_SECONDS
        wanted = [':1900 '] if upnp else [':5351 ']
        while not all(port in run(within(namespace.name, ['ss', '-uanH'])) for port in wanted):
            if mapper.process.poll() is not None or time.monotonic() > deadline:
                raise LabError('miniupnpd does not come up')
            time.sleep(0.05)

    def await_no_mapped_ports(self, router):
        """Until the port mapper of the router, as nft shows it, redirects nothing."""
        deadline = time.monotonic() + START_SECONDS
        while 'dnat' in (rules := run(within(self.network.prefix + router, [
                'nft', 'list', 'chain', 'inet', 'mapper', 'prerouting_miniupnpd']))):
            if time.monotonic() > deadline:
                raise LabError(f'left open: {rules}')
            time.sleep(0.05)

    def certify(self, name, addresses):
        """(certificate, key) for these addresses, by an authority of the lab's own: `self.authority`."""
        def openssl(*arguments):
            subprocess.run(['openssl', *arguments], check=True, capture_output=True)

        elliptic = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
        authority_key = self.work / 'authority.key'
        if not self.authority:
            self.authority = self.work / 'authority.pem'
            openssl('req', '-x509', *elliptic, '-days', '2', '-subj', '/CN=Lab authority', '-keyout', authority_key,
                    '-out', self.authority)
        certificate, key = self.work / f'{name}.pem', self.work / f'{name}.key'
        names = ','.join(f'IP:{address}' for address in addresses)
        openssl('req', '-x509', *elliptic, '-days', '2', '-subj', f'/CN={name}', '-CA', self.authority,
                '-CAkey', authority_key, '-addext', f'subjectAltName={names}',
                '-addext', 'basicConstraints=critical,CA:FALSE', '-keyout', key, '-out', certificate)
        return certificate, key

    def _await_stun(self, coturn, addresses=None):
        deadline = time.monotonic() + START_SECONDS
        request = struct.pack('!HHI', 0x0001, 0, 0x2112A442) + secrets.token_bytes(12)
        for address in self.network.public_addresses[:addresses]:
            with self.network.udp(self.network.public, '::' if ':' in address else '0.0.0.0') as sock:
                sock.settimeout(0.1)
                while True:
                    if coturn.process.poll() is not None:
                        raise LabError('coturn ended at once')
                    if time.monotonic() > deadline:
                        raise LabError(f'coturn does not answer on {address}')
                    try:
                        sock.sendto(request, (address, STUN_PORT))
                        if sock.recv(1500)[8:20] == request[8:20]:
                            break
                    except (TimeoutError, ConnectionRefusedError):
                        continue

    def start_rendezvous(self, certificate=None, secret=None, relays=True, name=None):
        """Returns the program; its address is then in `self.rendezvous`. `certificate`: (file, key) for wss;
        `secret`: a file with another one than coturn's; `relays`: whether it names any; `name`: what it is known by,
        at all addresses of its host, to people who can look it up (`let_know`)."""
        stun, turn = [], []
        for relay in map(in_uri, self.network.relay_addresses):
            stun.append(f'--stun-uri=stun:{relay}:{STUN_PORT}')
            turn += [f'--turn-uri=turn:{relay}:{STUN_PORT}', f'--turn-uri=turn:{relay}:{STUN_PORT}?transport=tcp',
                     f'--turn-uri=turns:{relay}:{TURNS_PORT}']
        listen = (['--listen', f'[::]:{NAMED_PORT}', '--origin', f'ws://{name}:{NAMED_PORT}'] if name else
                  ['--listen', f'{in_uri(self.network.rendezvous_address)}:{RENDEZVOUS_PORT}'])
        server = Program(self, 'rendezvous', self.network.public, [
            SERVER, *listen, *stun,
            *(turn + ['--turn-secret-file', secret or self.turn_secret] if relays else []),
            *(['--tls-cert', certificate[0], '--tls-key', certificate[1]] if certificate else [])])
        line = server.wait_line(START_SECONDS)
        if line is None:
            raise LabError('porthole-rendezvous ended at once')
        words = [word.strip('.,') for word in line.split() if '://' in word]
        if not words:
            raise LabError(f'porthole-rendezvous did not say its address: {line!r}')
        self.rendezvous = words[-1]
        self.rendezvous_program = server
        return server

    def start_proxy(self):
        """An HTTP proxy on the public host that connects to port 443 and nowhere else; returns its address."""
        settings = self.work / 'tinyproxy.conf'
        settings.write_text(f'Port {PROXY_PORT}\nListen {self.network.public.address}\nConnectPort 443\n'
                            'Timeout 600\nMaxClients 100\nUser root\nGroup root\n', encoding='utf-8')
        proxy = Program(self, 'proxy', self.network.public, ['tinyproxy', '-d', '-c', settings])
        deadline = time.monotonic() + START_SECONDS
        while f':{PROXY_PORT} ' not in run(within(self.network.public.name, ['ss', '-tlnH'])):
            if proxy.process.poll() is not None or time.monotonic() > deadline:
                raise LabError('tinyproxy does not come up')
            time.sleep(0.05)
        return f'{self.network.public.address}:{PROXY_PORT}'

    # --- People -----------------------------------------------------------------------------------

    def let_know(self, name, *addresses):
        """Both people's computers know these addresses of the name."""
        hosts = self.work / 'hosts'
        hosts.write_text(''.join(f'{address} {name}\n' for address in addresses), encoding='utf-8')
        for person in (self.left, self.right):
            person.under = ['unshare', '--mount', 'sh', '-c', 'mount --bind "$0" /etc/hosts && exec "$@"', hosts]

    def introduce(self):
        """Left invites, right accepts; afterwards each has the other as a contact."""
        if self.rendezvous:
            self.left.do('config', 'set', 'rendezvous', self.rendezvous)
        inviting = self.left.cli('invite', '--name', 'Right')
        link = inviting.wait_event('invitation', START_SECONDS)['link']
        adding = self.right.cli('add', '-', '--name', 'Left', text=link + '\n')
        adding.expect_exit(0, 60)
        inviting.expect_exit(0, 30)
        self.left.contact = inviting.last_event('contact')['id']
        self.right.contact = adding.last_event('contact')['id']
        return link

    def set_up(self):
        """Everything up to two people who know each other."""
        self.start_coturn()
        self.start_rendezvous()
        self.introduce()


def memory_folder():
    """Where test data lives: memory where there is enough of it, else the temporary folder."""
    for folder in ('/run/porthole-lab', '/dev/shm'):
        try:
            os.makedirs(folder, exist_ok=True)
            space = os.statvfs(folder)
        except OSError:
            continue
        if space.f_bavail * space.f_frsize > 4 << 30 and os.access(folder, os.W_OK):
            return folder
    return tempfile.gettempdir()


def missing_programs():
    return [program.name for program in (CLI, SERVER, BOX) if not program.exists()]
