# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenarios of the suite `lab` that need IPv6."""

import json

from inbound import AD, APD, EI, reports, servers
from lab import transfer
from network import run, within
from network6 import RENDEZVOUS_ADDRESS_6, Network6
from programs import Lab, in_uri
from scenarios import must, programs, scenario
from trees import write_random

SIZE = 5_000_000


def file_of(lab, size=SIZE):
    file = lab.work / 'file.bin'
    write_random(file, size)
    return file


@scenario()
def verdict():
    """What `nat` says of a host with a NAT and IPv6, and of one that has IPv6 alone."""
    programs()
    with Lab(Network6('symmetric', 'symmetric', ipv4=('left',))) as lab:
        lab.start_coturn()
        for person in (lab.left, lab.right):
            person.do('config', 'set', 'stun', ' '.join(in_uri(address) for address in lab.network.relay_addresses))
        clients = [person.cli('nat') for person in (lab.left, lab.right)]
        for client, wanted in zip(clients, (('symmetric', True), ('firewalled', False))):
            client.expect_exit(0, 30)
            report = client.events[-1]
            must((report['type'], report['nat']) == wanted, json.dumps(report))
            must(report['ipv6'] and report['ipv6_reaches_out'], json.dumps(report))
            must(report['ipv6_filtering'] == APD, json.dumps(report))
            must(len(report['public']) == len(set(report['public'])), json.dumps(report))


# A firewall that lets in whom that port has spoken to, from any port of theirs.
ADMIT_ACQUAINTANCES = (
    'add set ip6 router asked { type ipv6_addr . inet_service; flags dynamic, timeout; timeout 5m; size 4096; }',
    'insert rule ip6 router through iifname wan ip6 saddr . tcp dport @asked accept',
    'insert rule ip6 router through iifname lan update @asked { ip6 daddr . tcp sport }')


@scenario((AD, APD), (EI, APD))
def knocks(left, right):
    """Nothing but IPv6: the rendezvous knocks at those addresses, and finds whom each firewall lets in."""
    programs()
    kinds = ['open' if filtering == EI else 'port-restricted' for filtering in (left, right)]
    with Lab(Network6(*kinds, ipv4=())) as lab:
        if left == AD:
            for rule in ADMIT_ACQUAINTANCES:
                run(within(lab.network.prefix + 'left-router', ['nft', rule]))
        servers(lab, (lab.left, lab.right))
        for filtering, report in zip((left, right), reports(lab)):
            must(report['tcp_filtering'] == report['ipv6_tcp_filtering'] == filtering, f'{filtering}: {json.dumps(report)}')


@scenario()
def knocks_of_either_family():
    """Where there are both, the router of IPv4 and the firewall of IPv6 are not taken for each other."""
    programs()
    with Lab(Network6('full-cone', 'full-cone')) as lab:
        lab.start_coturn()
        lab.start_rendezvous(name='meet.lab')
        for person, address in ((lab.left, f'[{RENDEZVOUS_ADDRESS_6}]'), (lab.right, lab.network.rendezvous_address)):
            person.do('config', 'set', 'rendezvous', lab.rendezvous.replace('meet.lab', address))
        found = [(report['type'], report['tcp_filtering'], report['ipv6_tcp_filtering']) for report in reports(lab)]
        must(found == [('full-cone', 'unknown', APD), ('full-cone', EI, 'unknown')], json.dumps(found))


@scenario()
def two_firewalls():
    """IPv6 at both ends needs no guessing, whatever the NATs of IPv4 do: a punch through both firewalls."""
    programs()
    with Lab(Network6('symmetric', 'symmetric')) as lab:
        lab.set_up()
        delivered = transfer(lab, file_of(lab))
        must(delivered['path'] == 'udp' and delivered['first_byte_ms'] < 2000, json.dumps(delivered))


@scenario()
def no_ipv4():
    """Nothing but IPv6 anywhere: rendezvous, STUN and path; and the relay where the sites cannot reach each other."""
    programs()
    with Lab(Network6('port-restricted', 'port-restricted', ipv4=())) as lab:
        lab.set_up()
        must(lab.rendezvous.startswith(f'ws://[{RENDEZVOUS_ADDRESS_6}]'), lab.rendezvous)
        file = file_of(lab)
        must(transfer(lab, file)['path'] == 'udp', 'no direct path')
        lab.network.part6()
        (lab.right.inbox / file.name).unlink()
        must(transfer(lab, file)['path'] == 'relay', 'not relayed')


@scenario()
def one_side_without_ipv6():
    """One side has IPv4 alone, the other both: a direct path over IPv4, and no time lost."""
    programs()
    with Lab(Network6('port-restricted', 'port-restricted', ipv6=('left',))) as lab:
        lab.set_up()
        delivered = transfer(lab, file_of(lab))
        must(delivered['path'] == 'udp' and delivered['first_byte_ms'] < 2000, json.dumps(delivered))


@scenario(('left',), ('right',))
def relay_between_families(six):
    """One side has IPv6 alone, the other IPv4 alone: a relayed address of the other family joins them."""
    programs()
    four = 'right' if six == 'left' else 'left'
    with Lab(Network6('port-restricted', 'port-restricted', ipv6=(six,), ipv4=(four,))) as lab:
        lab.let_know('meet.lab', lab.network.rendezvous_address, RENDEZVOUS_ADDRESS_6)
        lab.start_coturn()
        lab.start_rendezvous(name='meet.lab')
        lab.introduce()
        delivered = transfer(lab, file_of(lab))
        must(delivered['path'] == 'relay', json.dumps(delivered))


@scenario()
def lan_without_addresses():
    """A cable, and nobody who hands out addresses: the link-local ones of IPv6 are enough, for a first meeting too."""
    programs()
    with Lab(Network6('same-lan', 'same-lan', ipv4=())) as lab:
        for person in (lab.left, lab.right):
            person.do('config', 'set', 'name', person.name)
        lab.introduce()
        delivered = transfer(lab, file_of(lab))
        must(delivered['path'] == 'lan', json.dumps(delivered))


@scenario()
def relay_refuses_family():
    """A relay that has no IPv6 addresses to give out (error 440): nothing waits for one, and IPv4's is used."""
    programs()
    with Lab(Network6('symmetric', 'symmetric')) as lab:
        lab.start_coturn('-E', lab.network.public_addresses[0])
        lab.start_rendezvous()
        lab.introduce()
        lab.network.part6()
        delivered = transfer(lab, file_of(lab), ('--explain',))
        must(delivered['path'] == 'relay' and delivered['first_byte_ms'] < 2000, json.dumps(delivered))
        sender = next(program for program in lab.programs if program.name == 'left-send')
        refusals = [event['text'] for event in sender.events if 'error 440' in event.get('text', '')]
        must(refusals, 'no refusal was noticed')


@scenario(long=True)
def no_udp_over_ipv6():
    """IPv6 alone, and one side's firewall drops UDP: a direct path over TCP, and a relay over TCP where there is none."""
    programs()
    with Lab(Network6('port-restricted', 'port-restricted', ipv4=())) as lab:
        run(within(lab.network.prefix + 'left-router', ['nft', 'insert rule ip6 router through meta l4proto udp drop']))
        lab.set_up()
        file = file_of(lab)
        delivered = transfer(lab, file, wait_for_better=True)
        must(delivered['best_path'] == 'tcp', json.dumps(delivered))
        lab.network.part6()
        (lab.right.inbox / file.name).unlink()
        must(transfer(lab, file)['path'] == 'relay', 'not relayed')
