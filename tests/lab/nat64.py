# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenarios of the suite `lab` on a network that has only IPv6, with a translator to IPv4 (NAT64) and its DNS64.

    left host -------- translator -------- left router ------ internet ------ ...
    2001:db8:a::2      2001:db8:a::1       10.1.1.1, as in network.py
                       10.1.1.2

The translator is tayga, which gives every IPv6 address an IPv4 one, and passes on to its host what the router lets
in; the router behind it translates ports, and is of the kind that was asked for. So the pair of them is what RFC 6146 describes, with ports as that kind gives them. The
prefix is the network's own: the well-known one is for no address of documentation. unbound answers for names,
and a second one on the public host knows them."""

import json
import os
import time
from pathlib import Path

from lab import transfer
from inbound import TCP_FILTERS, servers
from network import Host, LabError, Network, run, within
from programs import START_SECONDS, Lab, Program
from scenarios import Missing, must, programs, scenario
from trees import compare, write_random

PREFIX = '2001:db8:64::/96'
# What the translator gives its hosts; the router behind it knows the way back.
POOL = {'left': '172.30.1', 'right': '172.30.2'}
LAN = {'left': '2001:db8:a', 'right': '2001:db8:b'}
TRANSLATOR = {'left': '10.1.1.2', 'right': '192.168.2.2'}
RENDEZVOUS_NAME = 'meet.lab'

# What the router has let in for its host is for the host behind the translator.
PASS_ON = '''
table ip translator {{
  chain incoming {{
    type nat hook prerouting priority dstnat; policy accept;
    iifname eth0 ip daddr {translator} meta l4proto {{ tcp, udp }} dnat to {host}
  }}
}}
'''

# A name server of one's own, that a program's mount namespace sees.
WITH_RESOLVER = '''
file=$(readlink -m /etc/resolv.conf)
mkdir -p "${file%/*}" && { [ -e "$file" ] || : > "$file"; } && mount --bind "$0" "$file" && exec "$@"
'''

NAMES = '''
server:
  interface: {address}
  access-control: 0.0.0.0/0 allow
  {common}
  local-zone: "ipv4only.arpa." static
  local-data: "ipv4only.arpa. 3600 A 192.0.0.170"
  local-data: "ipv4only.arpa. 3600 A 192.0.0.171"
  local-zone: "lab." static
  local-data: "{name}. 60 A {rendezvous}"
'''

DNS64 = '''
server:
  interface: {address}
  access-control: ::/0 allow
  {common}
  module-config: "dns64 iterator"
  dns64-prefix: {prefix}
forward-zone:
  name: "."
  forward-addr: {upstream}
'''

COMMON = '''do-daemonize: no
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  verbosity: 1
  directory: "{directory}"
'''


class Network64(Network):
    """A Network whose hosts of the sides in `six` have IPv6 alone, behind a translator."""

    def __init__(self, left, right, six=('left',), **options):
        super().__init__(left, right, **options)
        self.six = six

    def check(self):
        super().check()  # of the translators' own IPv4, which is what their routers translate
        for side in self.six:
            self._add_host(side)

    def _add_host(self, side):
        host, lan = side + '-six', LAN[side]
        translator = getattr(self, side)
        name = self._namespace(host)
        for namespace in (name, translator.name):
            run(within(namespace, ['sysctl', '-qw', *(
                f'net.ipv6.conf.{which}.{key}={value}' for which in ('all', 'default')
                for key, value in (('accept_dad', 0), ('accept_ra', 0), ('disable_ipv6', 0)))]))
        run(within(translator.name, ['sysctl', '-qw', 'net.ipv6.conf.all.forwarding=1', 'net.ipv4.ip_forward=1']))
        self._wire(host, 'eth0', side, 'six')
        self._ip(host, f'address add {lan}::2/64 dev eth0 nodad', f'route add default via {lan}::1')
        self._ip(side, f'address add {lan}::1/64 dev six nodad')
        self._ip(f'{side}-router', f'route add {POOL[side]}.0/24 via {TRANSLATOR[side]}')
        setattr(self, side, Host(name, f'{lan}::2', translator.public, translator.kind))

    def translator(self, side):
        return Host(self.prefix + side, '', '')


class Lab64(Lab):
    """A Lab with what the translators' networks need: tayga, DNS64, and names that it can make up from."""

    def __enter__(self):
        super().__enter__()
        try:
            self._start_names()
            for side in self.network.six:
                self._start_translator(side)
                self._start_dns64(side)
        except BaseException as error:
            self.__exit__(type(error), error, None)
            raise
        return self

    def _folder(self, name):
        folder = self.work / name
        folder.mkdir()
        return folder

    def _start_names(self):
        folder = self._folder('names')
        address = self.network.public_addresses[0]
        settings = folder / 'unbound.conf'
        settings.write_text(NAMES.format(address=address, common=COMMON.format(directory=folder),
                                         name=RENDEZVOUS_NAME, rendezvous=self.network.rendezvous_address))
        server = Program(self, 'names', self.network.public, ['unbound', '-d', '-c', settings])
        self._await(server, self.network.public, ['ss', '-uanH'], f'{address}:53 ')

    def _start_translator(self, side):
        host, folder, pool = self.network.translator(side), self._folder(side + '-tayga'), POOL[side]
        settings = folder / 'tayga.conf'
        settings.write_text(f'tun-device nat64\nipv4-addr {pool}.1\nipv6-addr {LAN[side]}:ffff::1\nprefix {PREFIX}\n'
                            f'map {pool}.2 {LAN[side]}::2\ndata-dir {folder}\n')
        run(within(host.name, ['tayga', '--mktun', '-c', settings]))
        run(within(host.name, ['ip', '-batch', '-']), f'link set nat64 up\nroute add {pool}.0/24 dev nat64\n'
                                                      f'route add {PREFIX} dev nat64\n')
        run(within(host.name, ['nft', '-f', '-']), PASS_ON.format(translator=TRANSLATOR[side], host=f'{pool}.2'))
        server = Program(self, f'{side}-tayga', host, ['tayga', '-d', '-c', settings])
        self._await(server, host, ['ip', '-o', 'link', 'show', 'nat64'], 'LOWER_UP')

    def _start_dns64(self, side):
        host, folder, address = self.network.translator(side), self._folder(side + '-dns64'), f'{LAN[side]}::1'
        settings = folder / 'unbound.conf'
        settings.write_text(DNS64.format(address=address, common=COMMON.format(directory=folder), prefix=PREFIX,
                                         upstream=self.network.public_addresses[0]))
        server = Program(self, f'{side}-dns64', host, ['unbound', '-d', '-c', settings])
        self._await(server, host, ['ss', '-uanH'], f'[{address}]:53 ')
        resolver = folder / 'resolv.conf'
        resolver.write_text(f'nameserver {address}\n')
        getattr(self, side).under = ['unshare', '--mount', 'sh', '-c', WITH_RESOLVER, resolver]

    def _await(self, server, host, argv, text):
        deadline = time.monotonic() + START_SECONDS
        while text not in run(within(host.name, argv)):
            if server.process.poll() is not None or time.monotonic() > deadline:
                raise LabError(f'{server.name} does not come up')
            time.sleep(0.05)


def needed():
    programs()
    if not os.access('/dev/net/tun', os.R_OK | os.W_OK):
        raise Missing('/dev/net/tun may not be opened')
    for program in ('tayga', 'unbound'):
        if not any((Path(folder) / program).exists() for folder in ('/usr/sbin', '/usr/bin', '/usr/local/sbin')):
            raise Missing(f'{program} is not there')


def send(lab, wanted):
    """A file each way, over a path of this kind."""
    file = lab.work / 'file.bin'
    write_random(file, 5_000_000)
    delivered = transfer(lab, file, wait_for_better=wanted != 'relay')
    must(delivered['best_path'] == wanted, json.dumps(delivered))
    receiver = lab.left.receive()
    lab.right.do('send', lab.right.contact, file, '--timeout', '60', timeout=90)
    receiver.expect_exit(0, 30)
    compare(file, lab.left.inbox / file.name)


@scenario()
def translated_verdict():
    """The network report names the prefix, and the NAT behind the translator by what it does."""
    needed()
    with Lab64(Network64('port-restricted', 'open')) as lab:
        lab.start_coturn()
        lab.left.do('config', 'set', 'stun', ' '.join(lab.network.public_addresses))
        client = lab.left.do('nat')
        report = client.events[-1]
        must(report['nat64'] == PREFIX and report['type'] == 'port-restricted', json.dumps(report))
        must(any(address.startswith('198.51.100.2:') for address in report['public']), json.dumps(report))
        lab.right.do('config', 'set', 'stun', lab.network.public_addresses[0])
        must(lab.right.do('nat').events[-1]['nat64'] is None, 'a prefix where IPv4 works')


@scenario(('full-cone',), ('address-restricted',), ('port-restricted',))
def translated_knocks(kind):
    """Whom the router behind the translator lets in over TCP: the rendezvous knocks at its IPv4 address."""
    needed()
    with Lab64(Network64(kind, 'open')) as lab:
        servers(lab, (lab.left,))
        report = lab.left.do('nat', timeout=60).events[-1]
        must((report['type'], report['tcp_filtering']) == (kind, TCP_FILTERS[kind]), json.dumps(report))


@scenario(('port-restricted', 'port-restricted', 'udp'), ('port-restricted', 'udp-blocked', 'tcp'),
          ('symmetric', 'symmetric', 'relay'))
def translated(left, right, path):
    """A host that has IPv6 alone reaches rendezvous, STUN, TURN and a peer that are known by IPv4 addresses."""
    needed()
    with Lab64(Network64(left, right)) as lab:
        lab.set_up()
        send(lab, path)


@scenario()
def both_translated():
    """Both sides have IPv6 alone, and no way between them but that of IPv4. The rendezvous goes by a name."""
    needed()
    with Lab64(Network64('port-restricted', 'port-restricted', six=('left', 'right'))) as lab:
        lab.start_coturn()
        lab.start_rendezvous(name=RENDEZVOUS_NAME)
        lab.introduce()
        send(lab, 'udp')
