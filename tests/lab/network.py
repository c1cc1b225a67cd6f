# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's networks: two sites behind real kernel NATs, and an internet between them.

    left host -- left router --+                +-- right router -- right host
     10.1.1.2     198.51.100.2 |                | 203.0.113.2        192.168.2.2
                               +--- internet ---+
                                       |
                                  public host (192.0.2.10 and 192.0.2.11)

Each box is a network namespace, each line a veth pair. The internet routes between the three public
ranges (RFC 5737) and knows no private one, so that a private address can be reached from nowhere but
its own site: whatever arrives has been through the NATs. `Network.check()` proves this, and that every
router filters as its kind says, before a test relies on it.

Kinds, in the words of RFC 4787 (all but the symmetric ones keep the source port where they can, none hairpins):

    open                  no router: the host has a public address
    full-cone             endpoint-independent mapping and filtering
    address-restricted    endpoint-independent mapping, address-dependent filtering
    port-restricted       endpoint-independent mapping, address-and-port-dependent filtering
    symmetric             a random port for each destination, address-and-port-dependent filtering
    symmetric-sequential  the same with one port after the other, by the simulator's model (lab-box.c)
    cgnat                 port-restricted behind port-restricted, each site with a carrier of its own
    udp-blocked           port-restricted, and UDP does not get out
    tcp-443-only          port-restricted, and nothing but TCP to port 443 gets out
    same-lan              both hosts on one network behind one port-restricted router

Lines have no delay until `Network.slow_down()`: then each site is as far away from the internet as was asked
for. The kernel's netem is not everywhere, so the simulator's wire does it everywhere (lab-box.c).
"""

import contextlib
import json
import os
import socket
import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path

BOX = Path(__file__).resolve().parent.parent.parent / 'build/release/tests/lab/lab-box'

KINDS = ('open', 'full-cone', 'address-restricted', 'port-restricted', 'symmetric', 'symmetric-sequential', 'cgnat',
         'udp-blocked', 'tcp-443-only')

PUBLIC_ADDRESSES = ('192.0.2.10', '192.0.2.11')
# Of its own, so that the rendezvous and TURN over TLS both have port 443.
RENDEZVOUS_ADDRESS = '192.0.2.12'

# How an unsolicited datagram to a mapped port fares: from (the contacted address but another port,
# another address).
FILTERS = {
    'open': (True, True),
    'full-cone': (True, True),
    'address-restricted': (True, False),
    'port-restricted': (False, False),
    'symmetric': (False, False),
    'symmetric-sequential': (False, False),
    'cgnat': (False, False),
}


class LabError(Exception):
    """The lab is not what it should be; the text says where."""


@dataclass
class Host:
    """A network namespace with an address that programs can be started in."""
    name: str
    address: str
    public: str  # what the internet sees it as
    kind: str = 'open'
    inner: str = ''  # the network that only its own site can reach; '' for a public host
    interface: str = 'eth0'


@dataclass
class Site:
    """One side of the lab: its private and its public range, as prefixes of three numbers."""
    side: str
    private: str
    public: str
    carrier: str
    host: Host = field(init=False)


def within(namespace, argv):
    """The command line that runs `argv` in a namespace. (`ip netns exec` and `ip -netns` mount
    /sys as well, which an ordinary user's namespaces may not.)"""
    return ['nsenter', f'--net=/run/netns/{namespace}', '--', *(str(part) for part in argv)]


def run(argv, text=None):
    done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LabError(f'{" ".join(argv)}: {done.stderr.strip() or done.stdout.strip()}\n{text or ""}')
    return done.stdout


def nat_rules(kind, host_address):
    """The nftables program of a router of this kind; `lan` is its inside, `wan` its outside.

    What nobody asked for is dropped, not refused: an unsolicited packet that reached the router's own
    stack would leave a conntrack entry that takes the port away from the host behind it."""
    masquerade = 'masquerade fully-random' if kind == 'symmetric' else 'masquerade'
    note = admit = ''
    outgoing = {'udp-blocked': 'meta l4proto != udp', 'tcp-443-only': 'tcp dport 443'}.get(kind, '')

    # The host's own port is the mapped port (the kernel keeps it while it is free, and there is one
    # host), so ports noted on the way out are the mappings that exist.
    if kind == 'full-cone':
        note = '\n'.join(f'iifname lan oifname wan update @{l4}_mapped {{ {l4} sport }}' for l4 in ('udp', 'tcp'))
        admit = '\n'.join(f'iifname wan {l4} dport @{l4}_mapped dnat to {host_address}' for l4 in ('udp', 'tcp'))
    elif kind == 'address-restricted':
        note = '\n'.join(f'iifname lan oifname wan update @{l4}_asked {{ ip daddr . {l4} sport }}'
                          for l4 in ('udp', 'tcp'))
        admit = '\n'.join(f'iifname wan ip saddr . {l4} dport @{l4}_asked dnat to {host_address}'
                           for l4 in ('udp', 'tcp'))

    return f'''
table ip router {{
  set udp_mapped {{ type inet_service; flags dynamic, timeout; timeout 5m; size 4096; }}
  set tcp_mapped {{ type inet_service; flags dynamic, timeout; timeout 5m; size 4096; }}
  set udp_asked {{ type ipv4_addr . inet_service; flags dynamic, timeout; timeout 5m; size 4096; }}
  set tcp_asked {{ type ipv4_addr . inet_service; flags dynamic, timeout; timeout 5m; size 4096; }}

  chain incoming {{
    type nat hook prerouting priority dstnat; policy accept;
    {admit}
  }}
  chain outgoing {{
    type nat hook postrouting priority srcnat; policy accept;
    oifname wan {masquerade}
  }}
  chain through {{
    type filter hook forward priority filter; policy drop;
    {note}
    iifname lan oifname wan {outgoing} accept
    iifname lan oifname lan accept comment "br_netfilter shows the LAN's own frames here"
    iifname wan oifname lan ct state established,related accept
    iifname wan oifname lan ct status dnat accept
  }}
  chain own {{
    type filter hook input priority filter; policy drop;
    iifname lo accept
    iifname lan icmp type echo-request accept
    ct state established,related accept
  }}
}}
'''


# Where the simulator's NAT works the kernel answers ARP and keeps out of the rest.
BOX_RULES = '''
table ip router {
  chain own { type filter hook input priority filter; policy drop; iifname lo accept; }
}
'''


class Box:
    """A running lab-box; `tell` changes its conditions."""

    def __init__(self, network, namespace, *arguments):
        self.process = subprocess.Popen(within(namespace, [BOX, *arguments]), stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        network.programs.append(self.process)
        # A line does not get slower because the computer is busy. Not everybody may promise that.
        with contextlib.suppress(OSError):
            os.sched_setscheduler(self.process.pid, os.SCHED_FIFO, os.sched_param(1))
        self._await_ok()

    def tell(self, line):
        self.process.stdin.write(line + '\n')
        self.process.stdin.flush()
        self._await_ok()

    def _await_ok(self):
        if self.process.stdout.readline() != 'ok\n':
            raise LabError(f'lab-box ended with status {self.process.wait()}')


class Namespaces:
    """Network namespaces and what runs in them. Use it in a `with`; everything in it is gone
    afterwards, programs included."""

    _made = 0

    def __init__(self):
        Namespaces._made += 1
        self.prefix = f'lab{os.getpid()}-{Namespaces._made}-'
        self.namespaces = []
        self.programs = []

    def __enter__(self):
        try:
            self._build()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *_):
        for program in reversed(self.programs):
            if program.poll() is None:
                program.kill()
                program.wait()
        for name in reversed(self.namespaces):
            subprocess.run(['ip', 'netns', 'delete', name], capture_output=True, check=False)
        self.namespaces = []

    def _namespace(self, name, forward=False):
        full = self.prefix + name
        run(['ip', 'netns', 'add', full])
        self.namespaces.append(full)
        # IPv4 only: link-local IPv6 would be a path of its own on a LAN.
        settings = ['net.ipv6.conf.all.disable_ipv6=1', 'net.ipv6.conf.default.disable_ipv6=1',
                    f'net.ipv4.ip_forward={int(forward)}']
        run(within(full, ['sysctl', '-qw', *settings]))
        self._ip(name, 'link set lo up')
        return full

    def _ip(self, name, *lines):
        run(within(self.prefix + name, ['ip', '-batch', '-']), '\n'.join(lines) + '\n')

    def _wire(self, a, a_interface, b, b_interface):
        run(['ip', 'link', 'add', a_interface, 'netns', self.prefix + a, 'type', 'veth',
              'peer', 'name', b_interface, 'netns', self.prefix + b])
        self._ip(a, f'link set {a_interface} up')
        self._ip(b, f'link set {b_interface} up')

    def _whole_frames(self, name, interface):
        """What leaves here is cut and summed up, for a lab-box at the other end."""
        run(within(self.prefix + name, ['ethtool', '-K', interface, 'tx', 'off', 'tso', 'off', 'gso', 'off',
                                        'tx-udp-segmentation', 'off']))

    def start(self, host, argv, **options):
        """Starts a program on a host; it is killed with the network at the latest."""
        program = subprocess.Popen(within(host.name, argv), **options)
        self.programs.append(program)
        return program

    @contextlib.contextmanager
    def inside(self, host):
        """Sockets made within belong to the host. Only for the calling thread."""
        assert threading.current_thread() is threading.main_thread()
        own = os.open('/proc/thread-self/ns/net', os.O_RDONLY)
        other = os.open(f'/run/netns/{host.name}', os.O_RDONLY)
        try:
            os.setns(other, os.CLONE_NEWNET)
            yield
        finally:
            os.setns(own, os.CLONE_NEWNET)
            os.close(own)
            os.close(other)

    def udp(self, host, address='0.0.0.0', port=0):
        with self.inside(host):
            sock = socket.socket(socket.AF_INET6 if ':' in address else socket.AF_INET, socket.SOCK_DGRAM)
        sock.settimeout(2)
        sock.bind((address, port))
        return sock


class Network(Namespaces):
    """Two hosts of the given kinds and a public host. `rate` (as tc writes it, 100mbit) is the speed of the
    line towards the right host: slow enough a line lets a test act in the middle of a transfer. `delay_ms` is what
    a packet takes from either site to the internet, once `slow_down` was called."""

    def __init__(self, left, right, rate=None, delay_ms=0):
        super().__init__()
        self.rate = rate
        self.delay_ms = delay_ms
        self.moved = set()  # sides whose host has its other address
        self.lines = []  # namespaces that join a site to the internet, while they are fast
        self.boxes = {}  # namespace without prefix -> Box
        if 'same-lan' in (left, right) and left != right:
            raise LabError('same-lan is a kind of both sides: --left same-lan --right same-lan')
        for kind in (left, right):
            if kind not in KINDS and kind != 'same-lan':
                raise LabError(f'{kind}: no such kind; there are {", ".join(KINDS)} and same-lan')
        self.left_kind, self.right_kind = left, right
        self.public_addresses = PUBLIC_ADDRESSES
        self.relay_addresses = PUBLIC_ADDRESSES[:1]  # what clients are told; the other is for STUN alone
        self.rendezvous_address = RENDEZVOUS_ADDRESS
        self.public = Host(self.prefix + 'public', PUBLIC_ADDRESSES[0], PUBLIC_ADDRESSES[0])
        self.left = self.right = None

    # --- Building ---------------------------------------------------------------------------------

    def _attach(self, name, interface, prefix):
        """Joins `name` to the internet: .1 is the internet's end, .2 (the public host: .10) the other."""
        if self.delay_ms and name != 'public':
            line = name + '-line'
            self._namespace(line)
            self._wire(name, interface, line, 'site')
            self._wire(line, 'net', 'internet', name)
            self._ip(line, 'link add bridge type bridge', 'link set bridge up', 'link set site master bridge',
                     'link set net master bridge')
            self.lines.append(line)
        else:
            self._wire(name, interface, 'internet', name)
        self._ip('internet', f'address add {prefix}.1/24 dev {name}')

    def slow_down(self):
        """From here on the sites' lines have their delay. Until then they are the kernel's own, which keep order:
        `check` relies on it."""
        for line in self.lines:
            site = line.removesuffix('-line')
            self._whole_frames(site, 'eth0' if site in ('left', 'right') else 'wan')
            self._whole_frames('internet', site)
            self._ip(line, 'link del bridge')
            self.boxes[line] = Box(self, self.prefix + line, 'wire', 'site', 'net')
            self.boxes[line].tell(f'delay {self.delay_ms}')
        self.lines = []

    def _router(self, name, inside, outside, kind, host_address):
        """A router between the host or inner router at `inside`.2 and the wire already there as `wan`."""
        self._ip(name, f'address add {outside}.2/24 dev wan', f'route add default via {outside}.1',
                  f'address add {inside}.1/24 dev lan')
        if kind == 'symmetric-sequential':
            run(within(self.prefix + name, ['sysctl', '-qw', 'net.ipv4.ip_forward=0']))
            run(within(self.prefix + name, ['nft', '-f', '-']), BOX_RULES)
            self._whole_frames(name.removesuffix('-router'), 'eth0')
            self._whole_frames('internet', name)
            self.boxes[name] = Box(self, self.prefix + name, 'nat', 'lan', 'wan', host_address, f'{inside}.1',
                                   f'{outside}.2')
            return
        run(within(self.prefix + name, ['nft', '-f', '-']), nat_rules(kind, host_address))

    def _build(self):
        self._namespace('internet', forward=True)
        self._namespace('public')
        self._attach('public', 'eth0', '192.0.2')
        self._ip('public', *(f'address add {address}/24 dev eth0'
                             for address in (*PUBLIC_ADDRESSES, RENDEZVOUS_ADDRESS)),
                  'route add default via 192.0.2.1')
        if self.left_kind == 'same-lan':
            self._build_lan()
        else:
            self.left = self._build_site(Site('left', '10.1.1', '198.51.100', '100.64.1'), self.left_kind)
            self.right = self._build_site(Site('right', '192.168.2', '203.0.113', '100.64.2'), self.right_kind)
        if self.rate:
            self.hold(self.rate)

    def hold(self, rate):
        """The line towards the right host has this speed until `release`."""
        self._tc('replace', 'tbf', 'rate', rate, 'burst', '128k', 'latency', '50ms')

    def release(self):
        self._tc('delete')

    def _tc(self, verb, *discipline):
        edge = next(name for name in ('right-carrier', 'right-router', 'right')
                    if self.prefix + name in self.namespaces)
        run(within(self.prefix + 'internet', ['tc', 'qdisc', verb, 'dev', edge, 'root', *discipline]))

    def _build_site(self, site, kind):
        side = site.side
        name = self._namespace(side)
        if kind == 'open':
            self._attach(side, 'eth0', site.public)
            self._ip(side, f'address add {site.public}.2/24 dev eth0', f'route add default via {site.public}.1')
            return Host(name, f'{site.public}.2', f'{site.public}.2', kind)

        router = side + '-router'
        self._namespace(router, forward=True)
        self._wire(side, 'eth0', router, 'lan')
        self._ip(side, f'address add {site.private}.2/24 dev eth0', f'route add default via {site.private}.1')
        if kind == 'cgnat':
            carrier = side + '-carrier'
            self._namespace(carrier, forward=True)
            self._wire(router, 'wan', carrier, 'lan')
            self._router(router, site.private, site.carrier, 'port-restricted', f'{site.private}.2')
            self._attach(carrier, 'wan', site.public)
            self._router(carrier, site.carrier, site.public, 'port-restricted', f'{site.carrier}.2')
        else:
            self._attach(router, 'wan', site.public)
            self._router(router, site.private, site.public, kind, f'{site.private}.2')
        return Host(name, f'{site.private}.2', f'{site.public}.2', kind, f'{site.private}.0/24')

    def _build_lan(self):
        router = 'router'
        self._namespace(router, forward=True)
        self._ip(router, 'link add lan type bridge', 'link set lan up')
        self._attach(router, 'wan', '198.51.100')
        for number, side in ((2, 'left'), (3, 'right')):
            name = self._namespace(side)
            self._wire(side, 'eth0', router, f'port{number}')
            self._ip(router, f'link set port{number} master lan')
            self._ip(side, f'address add 10.1.1.{number}/24 dev eth0', 'route add default via 10.1.1.1')
            setattr(self, side, Host(name, f'10.1.1.{number}', '198.51.100.2', 'same-lan', '10.1.1.0/24'))
        self._router(router, '10.1.1', '198.51.100', 'port-restricted', '10.1.1.2')

    def unplug(self, side):
        """The host's cable is pulled."""
        self._ip(side, 'link set eth0 down')

    def plug(self, side):
        """It is back, and so is the way out, which the kernel forgets with the link."""
        gateway = (self.left if side == 'left' else self.right).inner.rsplit('.', 1)[0] + '.1'
        self._ip(side, 'link set eth0 up', f'route replace default via {gateway}')

    def move(self, side):
        """Another address in the same network: what a DHCP server does to a host that comes back."""
        host = self.left if side == 'left' else self.right
        net = host.address.rsplit('.', 1)[0]
        addresses = [f'{net}.2', f'{net}.7']
        old, new = reversed(addresses) if side in self.moved else addresses
        self._ip(side, f'address del {old}/24 dev eth0', f'address add {new}/24 dev eth0',
                 f'route replace default via {net}.1')
        self.moved ^= {side}

    def part(self, apart=True):
        """Nothing gets from one site to the other, though both reach the public host; False: as before."""
        run(within(self.prefix + 'internet', ['nft', '-f', '-']), """
table ip parting {
  chain forward {
    type filter hook forward priority filter; policy accept;
    ip saddr { 198.51.100.0/24, 203.0.113.0/24 } ip daddr { 198.51.100.0/24, 203.0.113.0/24 } drop
  }
}
""" if apart else 'delete table ip parting')

    def let_in(self):
        """The sites' routers drop nothing that is addressed to themselves, so that what nobody asked for leaves a
        conntrack entry; and between them it is further than a few hops."""
        for side in ('left', 'right'):
            run(within(f'{self.prefix}{side}-router', ['nft', 'add chain ip router own { policy accept; }']))
        run(within(self.prefix + 'internet', ['nft', '-f', '-']), """
table ip distance {
  chain forward {
    type filter hook forward priority filter; policy accept;
    ip ttl < 16 drop
  }
}
""")

    def crossed(self):
        """Bytes that have entered or left the public host, as its interface counts them."""
        links = json.loads(run(within(self.public.name, ['ip', '-s', '-j', 'link', 'show', 'dev', 'eth0'])))
        return sum(links[0]['stats64'][way]['bytes'] for way in ('rx', 'tx'))

    # --- Proving ----------------------------------------------------------------------------------

    def check(self):
        """Raises LabError unless the hosts are as far apart as their kinds say."""
        for host, other in ((self.left, self.right), (self.right, self.left)):
            if host.kind == 'same-lan':
                self._check_lan(host, other)
            else:
                self._check_private(host, other)
            if host.kind in FILTERS:
                self._check_filter(host, other)
            elif host.kind in ('udp-blocked', 'tcp-443-only'):
                self._check_blocked(host)
            if host.kind != 'same-lan':
                self._check_tcp(host)

    def _check_lan(self, host, other):
        with self.udp(host) as sock, self.udp(other) as listener:
            sock.sendto(b'neighbour', (other.address, listener.getsockname()[1]))
            try:
                listener.recv(64)
            except TimeoutError:
                raise LabError(f'{host.kind}: {other.address} does not hear {host.address}') from None

    def _check_private(self, host, other):
        """No packet from `other` or the public host gets to the private address of `host`."""
        if not host.inner:
            return
        with contextlib.ExitStack() as stack:
            listener = stack.enter_context(self.udp(host))
            for source in (other, self.public):
                probe = stack.enter_context(self.udp(source))
                try:
                    probe.sendto(b'direct', (host.address, listener.getsockname()[1]))
                except OSError:
                    pass  # refused at once: not there
            with self.inside(host):
                control = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            control.sendto(b'control', (host.address, listener.getsockname()[1]))
            # The wires keep order and have no delay: had the probes been let through, they would be first.
            if listener.recv(64) != b'control':
                raise LabError(f'{host.kind}: the private address {host.address} can be reached from outside')

    def _check_filter(self, host, other):
        """A mapped port lets in exactly what the kind's filter says."""
        from_port, from_address = FILTERS[host.kind]
        first, second = PUBLIC_ADDRESSES
        with contextlib.ExitStack() as stack:
            sock = stack.enter_context(self.udp(host))
            server = stack.enter_context(self.udp(self.public, first))
            sock.sendto(b'open', server.getsockname())
            try:
                mapped = server.recvfrom(64)[1]
            except TimeoutError:
                raise LabError(f'{host.kind}: nothing gets out') from None
            if mapped[0] != host.public:
                raise LabError(f'{host.kind}: seen as {mapped[0]} instead of {host.public}')

            probes = [((self.public, first), from_port), ((self.public, second), from_address)]
            if other.kind in FILTERS:
                probes.append(((other, '0.0.0.0'), from_address))
            for source, expected in probes:
                probe = stack.enter_context(self.udp(*source))
                probe.sendto(b'probe', mapped)
                probe.sendto(b'passed', server.getsockname())
                server.recv(64)  # its way out may be slower than the control's
                server.sendto(b'control', mapped)
                arrived = sock.recv(64) == b'probe'
                if arrived:
                    sock.recv(64)
                if arrived != expected:
                    what = 'let in' if arrived else 'kept out'
                    raise LabError(f'{host.kind}: a datagram from {source[0].name} {source[1]} was {what}')

    def _check_blocked(self, host):
        with self.udp(host) as sock, self.udp(self.public) as server, self.udp(self.public) as control:
            sock.sendto(b'open', (PUBLIC_ADDRESSES[0], server.getsockname()[1]))
            control.sendto(b'control', ('127.0.0.1', server.getsockname()[1]))
            if server.recv(64) != b'control':
                raise LabError(f'{host.kind}: UDP gets out')

    def _check_tcp(self, host):
        """TCP gets out to port 443 from everywhere, and to other ports where the kind says so."""
        for port, expected in ((443, True), (444, host.kind != 'tcp-443-only')):
            with contextlib.ExitStack() as stack:
                with self.inside(self.public):
                    server = stack.enter_context(socket.create_server((PUBLIC_ADDRESSES[0], port)))
                with self.inside(host):
                    client = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
                client.settimeout(2 if expected else 0.2)
                try:
                    client.connect(server.getsockname())
                    seen = server.accept()
                    seen[0].close()
                except TimeoutError:
                    seen = None
                if (seen is not None) != expected:
                    raise LabError(f'{host.kind}: TCP to port {port} {"gets out" if seen else "does not get out"}')
                if seen and seen[1][0] != host.public:
                    raise LabError(f'{host.kind}: seen as {seen[1][0]} over TCP instead of {host.public}')


# What a transfer may not use; the servers' ports stay open.
ONLY_RULES = '''
table ip only {{
  chain in {{ type filter hook input priority filter; policy accept; {other} sport != {{ 443, 3478 }} {other} dport != {{ 443, 3478 }} drop; }}
}}
'''


class Wire(Namespaces):
    """Two hosts joined by one veth pair: what benchmarks run over. The servers are on the right one.

    veth passes 64 KiB segments uncut; `nic` cuts them as a network card's driver would see them. With `slow` a
    lab-box is between the two, whose conditions `box` changes. `rate` (as tc writes it, 1gbit) is that of either end's
    own interface: for lines that are too fast to be a program's; with both, the box only delays."""

    def __init__(self, nic=False, slow=False, rate=None):
        super().__init__()
        self.nic = nic
        self.slow = slow
        self.rate = rate
        self.box = None
        self.left = Host(self.prefix + 'left', '10.0.0.1', '10.0.0.1', 'same-lan')
        self.right = Host(self.prefix + 'right', '10.0.0.2', '10.0.0.2', 'same-lan')
        self.public = self.right
        self.public_addresses = self.relay_addresses = ('10.0.0.2',)
        self.rendezvous_address = '10.0.0.3'  # of the right host too: coturn has port 443 of the other

    def _build(self):
        self._namespace('left')
        self._namespace('right')
        if self.slow:
            self._namespace('line')
            self._wire('left', 'eth0', 'line', 'left')
            self._wire('right', 'eth0', 'line', 'right')
            if not self.rate:
                self._whole_frames('left', 'eth0')
                self._whole_frames('right', 'eth0')
            self.box = Box(self, self.prefix + 'line', 'wire', 'left', 'right', *(['whole'] if self.rate else []))
        else:
            self._wire('left', 'eth0', 'right', 'eth0')
        for side, host in (('left', self.left), ('right', self.right)):
            self._ip(side, f'address add {host.address}/24 dev eth0',
                     *(['address add 10.0.0.3/24 dev eth0'] if host is self.right else []),
                     # The kernel's default may be BBR, which costs TCP two thirds over veth.
                     f'route change 10.0.0.0/24 dev eth0 src {host.address} congctl cubic')
            if self.nic:
                run(within(host.name, ['ethtool', '-K', 'eth0', 'tso', 'off', 'tx-udp-segmentation', 'off',
                                       'gro', 'on']))
            if self.rate:
                run(within(host.name, ['tc', 'qdisc', 'add', 'dev', 'eth0', 'root', 'tbf', 'rate', self.rate,
                                       'burst', '256k', 'latency', '100ms']))

    def add_subnets(self, count):
        """Gives both hosts an address in so many networks of the wire more; returns those of the right one."""
        for number in range(count):
            self._ip('left', f'address add 10.1.{number}.1/24 dev eth0')
            self._ip('right', f'address add 10.1.{number}.2/24 dev eth0')
        return [f'10.1.{number}.2' for number in range(count)]

    def check(self):
        """Nothing to prove: it is a wire."""

    def slow_down(self):
        """A benchmark tells the box, case by case."""

    @contextlib.contextmanager
    def only(self, protocol):
        """Within, the right host takes nothing from the left one but this, "udp" or "tcp"."""
        run(within(self.right.name, ['nft', '-f', '-']), ONLY_RULES.format(other='tcp' if protocol == 'udp' else 'udp'))
        try:
            yield
        finally:
            run(within(self.right.name, ['nft', 'delete', 'table', 'ip', 'only']))
