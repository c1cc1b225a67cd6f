# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenarios of the suite `lab`: who is let in over TCP, as a rendezvous finds that knocks from outside."""

import json

from network import Network, run, within
from programs import Lab
from scenarios import must, programs, scenario

EI, AD, APD = 'endpoint-independent', 'address-dependent', 'address-and-port-dependent'

# As the lab's routers filter TCP; `tcp-443-only` lets nobody ask a STUN server.
TCP_FILTERS = {'open': EI, 'full-cone': EI, 'address-restricted': AD, 'port-restricted': APD, 'symmetric': APD,
               'symmetric-sequential': APD, 'cgnat': APD, 'udp-blocked': APD, 'tcp-443-only': 'unknown'}

# What a router without NAT may do: new connections from outside end here.
FIREWALL = """
table ip firewall {
  chain input {
    type filter hook input priority filter; policy accept;
    ct state established,related accept
    tcp flags syn / syn,ack,fin,rst drop
    meta l4proto udp drop
  }
}
"""


def reports(lab):
    """What both people's `nat` says, asked at the same time."""
    clients = [person.cli('nat') for person in (lab.left, lab.right)]
    for client in clients:
        client.expect_exit(0, 60)
    return [client.events[-1] for client in clients]


def servers(lab, people):
    """coturn, and a rendezvous that each of them logs in to."""
    lab.start_coturn()
    lab.start_rendezvous()
    for person in people:
        person.do('config', 'set', 'rendezvous', lab.rendezvous)


def check_filtering(left, right):
    programs()
    with Lab(Network(left, right)) as lab:
        servers(lab, (lab.left, lab.right))
        for kind, report in zip((left, right), reports(lab)):
            must(report['tcp_filtering'] == TCP_FILTERS[kind], f'{kind}: {json.dumps(report)}')
            must(report['portmap_tcp_open'] is None, f'{kind}: {json.dumps(report)}')


@scenario(('full-cone', 'address-restricted'), ('port-restricted', 'symmetric'))
def tcp_filtering(left, right):
    """`porthole-cli nat` tells whom each router lets in over TCP."""
    check_filtering(left, right)


@scenario(('symmetric-sequential', 'cgnat'), ('udp-blocked', 'tcp-443-only'), long=True)
def more_tcp_filtering(left, right):
    check_filtering(left, right)


@scenario()
def firewalled_host():
    """A host with a public address that lets only answers in is not reached over TCP, and says so."""
    programs()
    with Lab(Network('open', 'open')) as lab:
        run(within(lab.left.host.name, ['nft', '-f', '-']), FIREWALL)
        servers(lab, (lab.left, lab.right))
        left, right = reports(lab)
        must((left['type'], left['nat'], left['tcp_filtering']) == ('firewalled', False, APD), json.dumps(left))
        must((right['nat'], right['tcp_filtering']) == (False, EI), json.dumps(right))


@scenario()
def mapped_tcp_port():
    """A TCP port that a router has opened is reached from outside; with one that lies it is not, and both reports say so."""
    programs()
    with Lab(Network('port-restricted', 'port-restricted')) as lab:
        for person, router in ((lab.left, 'left-router'), (lab.right, 'right-router')):
            lab.start_port_mapper(person.host, router)
        run(within(lab.network.prefix + 'right-router', ['nft', 'insert rule inet mapper prerouting accept']))
        servers(lab, (lab.left, lab.right))
        honest, lying = reports(lab)
        must((honest['portmap'], honest['portmap_open'], honest['portmap_tcp_open']) == ('pcp', True, True),
             json.dumps(honest))
        must((lying['portmap'], lying['portmap_open'], lying['portmap_tcp_open']) == ('pcp', False, False),
             json.dumps(lying))
        # Only that port is open.
        must(honest['tcp_filtering'] == APD, json.dumps(honest))

