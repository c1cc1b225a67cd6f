# SPDX-License-Identifier: GPL-3.0-or-later
"""The suite `lab`: what must hold between real kernels' NATs, with the real programs.

A scenario is a function that raises when something is not as it should be. Each makes its own network
and its own people, so that they can run side by side and in any order."""

import base64
import hmac
import json
import os
import pty
import subprocess
import sys
import time
from collections import namedtuple
from urllib.parse import quote

from lab import transfer
from matrix import CROSSING_MAX, run_cell
from network import LabError, Network, run, within
from possible import PAIRS, possible_paths
from programs import PROXY_PORT, Lab, Person, missing_programs
from trees import awkward_tree, compare, listing, write_random

# A line on which the files of the crash scenarios take some seconds.
SLOW = '160mbit'
SLOW_FILE = 80_000_000

Scenario = namedtuple('Scenario', 'name function values long suite')
SCENARIOS = []


class Missing(Exception):
    """The scenario needs something that is not there; the text says what."""


def scenario(*parameters, long=False, suite='lab'):
    """Registers a function once for each of `parameters` (tuples), or once without any."""

    def register(function):
        for values in parameters or ((),):
            name = '/'.join([function.__name__.replace('_', '-'), *(['-'.join(values)] if values else [])])
            SCENARIOS.append(Scenario(name, function, values, long, suite))
        return function
    return register


def must(condition, text):
    if not condition:
        raise LabError(text)


def explain(error):
    return f'{type(error).__name__}: {error}\n{getattr(error, "logs", "")}'


def run_one(name):
    """Runs a scenario by its name; returns None, ('skip', why) or ('fail', log)."""
    found = next(known for known in SCENARIOS if known.name == name)
    try:
        found.function(*found.values)
    except Missing as why:
        return 'skip', str(why)
    except Exception as error:  # one that breaks is one that fails, and the next one runs
        return 'fail', explain(error)
    return None


def names(long, suite='lab'):
    return [known.name for known in SCENARIOS if known.suite == suite and (long or not known.long)]


def programs():
    if missing_programs():
        raise Missing(f'{", ".join(missing_programs())} is not built')


# --- What is judged by, judged ---------------------------------------------------------------------

@scenario()
def possible_pairs():
    """45 pairs of routers, of which 13 need a relay; the table has no gap and no pair twice."""
    must(len(PAIRS) == 46 and len({frozenset(pair) for pair in PAIRS}) == 46, f'{len(PAIRS)} pairs')
    relayed = [pair for pair in PAIRS if possible_paths(*pair) == ('relay',)]
    must(len(relayed) == 13, f'{len(relayed)} relayed')
    must(possible_paths('symmetric', 'port-restricted') == ('udp', 'tcp'), 'birthday')
    must(possible_paths('cgnat', 'udp-blocked') == ('tcp',), 'TCP')


# --- Without a meeting point -----------------------------------------------------------------------

@scenario()
def same_lan_without_meeting_point():
    """Contacts on one network find each other when the meeting point is gone."""
    programs()
    with Lab(Network('same-lan', 'same-lan')) as lab:
        lab.set_up()
        lab.rendezvous_program.kill()
        file = lab.work / 'file'
        write_random(file, 5_000_000)
        receiver = lab.right.receive()
        sender = lab.left.cli('send', lab.left.contact, file, '--timeout', '60')
        sender.expect_exit(0, 90)
        receiver.expect_exit(0, 30)
        compare(file, lab.right.inbox / file.name)
        must(sender.last_event('delivered')['path'] == 'lan', 'not over the LAN')

        # Who wants none of it is not found.
        lab.right.do('config', 'set', 'nearby', 'false')
        receiver = lab.right.receive()
        lab.left.do('send', lab.left.contact, file, '--timeout', '5', status=4)
        receiver.kill()


@scenario()
def first_meeting_without_meeting_point():
    """Two who have never met, one of whom holds the other's link: no meeting point, no server of any kind."""
    programs()
    with Lab(Network('same-lan', 'same-lan')) as lab:
        for person in (lab.left, lab.right):
            person.do('config', 'set', 'name', person.name)
        link = lab.introduce()
        must([lab.left.contact, lab.right.contact] == [lab.right.id(), lab.left.id()], 'somebody else')
        file = lab.work / 'file'
        write_random(file, 5_000_000)
        must(transfer(lab, file)['path'] == 'lan', 'not over the LAN')

        # It has served: whoever else has it finds nobody, though its maker is there.
        receiver = lab.left.receive()
        third = Person(lab, 'third', lab.network.right)
        failed = third.do('add', '-', text=link + '\n', status=1).last_event('failed')
        must(failed['code'] == 'offline', json.dumps(failed))
        receiver.kill()


# --- The networks themselves, by a program we did not write ----------------------------------------

# What coturn's NAT discovery client must say of each kind.
FOREIGN_VERDICTS = {
    'open': ('Endpoint Independent Mapping', 'Endpoint Independent Filtering'),
    'full-cone': ('Endpoint Independent Mapping', 'Endpoint Independent Filtering'),
    'address-restricted': ('Endpoint Independent Mapping', 'Address Dependent Filtering'),
    'port-restricted': ('Endpoint Independent Mapping', 'Address and Port Dependent Filtering'),
    'symmetric': ('Address and Port Dependent Mapping', 'Address and Port Dependent Filtering'),
    'symmetric-sequential': ('Address and Port Dependent Mapping', 'Address and Port Dependent Filtering'),
    'cgnat': ('Endpoint Independent Mapping', 'Address and Port Dependent Filtering'),
}


EI, AD, APD = 'endpoint-independent', 'address-dependent', 'address-and-port-dependent'

# Type, mapping, filtering and hairpin, as `nat --json` must tell them of each kind.
OWN_VERDICTS = {
    'open': ('open', EI, EI, None),
    'full-cone': ('full-cone', EI, EI, False),
    'address-restricted': ('address-restricted', EI, AD, False),
    'port-restricted': ('port-restricted', EI, APD, False),
    'symmetric': ('symmetric', APD, APD, None),
    'symmetric-sequential': ('symmetric', APD, APD, None),
    'cgnat': ('port-restricted', EI, APD, False),
    'udp-blocked': ('udp-blocked', 'unknown', 'unknown', None),
    'tcp-443-only': ('udp-blocked', 'unknown', 'unknown', None),
}
# What else a report says, where it is not the usual.
OWN_STEPS = {'symmetric': 0, 'symmetric-sequential': 1}
OWN_TCP_MAPPINGS = {'symmetric': APD, 'symmetric-sequential': APD, 'tcp-443-only': 'unknown'}
OWN_TRANSLATIONS = {'open': False, 'tcp-443-only': None}  # TCP tells it where UDP does not get out


@scenario(('open', 'full-cone'), ('address-restricted', 'port-restricted'), ('symmetric', 'cgnat'),
          ('udp-blocked', 'symmetric-sequential'), ('tcp-443-only', 'open'))
def own_discovery(left, right):
    """`porthole-cli nat` finds behind each router the kind of NAT that the lab says is there."""
    programs()
    with Lab(Network(left, right)) as lab:
        lab.start_coturn()
        people = (lab.left, lab.right)
        for person in people:
            person.do('config', 'set', 'stun', lab.network.public.address)
        for person, client in [(person, person.cli('nat')) for person in people]:
            client.expect_exit(0, 30)
            report = client.events[-1]
            said = tuple(report[key] for key in ('type', 'mapping', 'filtering', 'hairpin'))
            must(said == OWN_VERDICTS[person.host.kind], f'{person.host.kind}: {json.dumps(report)}')
            must(report['port_step'] == OWN_STEPS.get(person.host.kind), json.dumps(report))
            must(report['tcp_mapping'] == OWN_TCP_MAPPINGS.get(person.host.kind, EI), json.dumps(report))
            must(report['nat'] == OWN_TRANSLATIONS.get(person.host.kind, True), json.dumps(report))


@scenario(('full-cone', 'port-restricted'))
def one_address(left, right):
    """A coturn that has one address cannot tell what a router filters: that is not known, and never taken for strict."""
    programs()
    with Lab(Network(left, right)) as lab:
        lab.start_coturn(addresses=1)
        for person in (lab.left, lab.right):
            person.do('config', 'set', 'stun', lab.network.public.address)
        for client in [person.cli('nat') for person in (lab.left, lab.right)]:
            client.expect_exit(0, 30)
            report = client.events[-1]
            must((report['type'], report['filtering'], report['nat']) == ('unknown', 'unknown', True), json.dumps(report))


@scenario()
def mapping_lifetime():
    """`nat --lifetime` finds how long the router's kernel keeps a mapping that nothing uses."""
    programs()
    with Lab(Network('port-restricted', 'open')) as lab:
        lab.start_coturn()
        lab.left.do('config', 'set', 'stun', lab.network.public.address)
        run(within(lab.network.prefix + 'left-router', [
            'sysctl', '-qw', 'net.netfilter.nf_conntrack_udp_timeout=3', 'net.netfilter.nf_conntrack_udp_timeout_stream=3']))
        client = lab.left.do('nat', '--lifetime', timeout=60)
        report = client.events[-1]
        must(report['mapping_lifetime_s'] in (2, 3) and report['mapping_lifetime_max_s'] in (3, 4), json.dumps(report))


@scenario(long=True)
def servers_come_back():
    """A network whose STUN servers were all down is not taken for one without UDP once they are up."""
    programs()
    with Lab(Network('port-restricted', 'open')) as lab:
        coturn = lab.start_coturn()
        lab.start_rendezvous()
        lab.introduce()
        coturn.kill()
        file = lab.work / 'x'
        file.write_text('x')
        sender = lab.left.cli('send', lab.left.contact, file, '--explain')
        sender.wait_event('explain', 30, lambda event: 'nat: udp-blocked' in event['text'])
        lab.start_coturn()
        sender.wait_event('explain', 60, lambda event: 'nat: port-restricted' in event['text'])
        sender.kill()


@scenario()
def lab_proves_itself():
    """The proofs can fail: a hole in a router, and a route between the private networks, are found."""
    for hole in (['nft', 'insert', 'rule', 'ip', 'router', 'incoming', 'iifname', 'wan', 'udp', 'dport', '1-65535',
                  'dnat', 'to', '10.1.1.2'],
                 ['ip', 'route', 'add', '10.1.1.0/24', 'via', '198.51.100.2']):
        with Network('port-restricted', 'open') as network:
            network.check()
            run(within(network.prefix + ('left-router' if hole[0] == 'nft' else 'internet'), hole))
            if hole[0] == 'ip':
                run(within(network.prefix + 'left-router',
                           ['nft', 'add chain ip router through { policy accept; }']))
            try:
                network.check()
            except LabError:
                continue
            raise LabError(f'not noticed: {" ".join(hole)}')


@scenario()
def delay():
    """A slowed line takes its time in both directions, and may be told to lose."""
    with Network('port-restricted', 'symmetric-sequential', delay_ms=20) as network:
        network.check()
        network.slow_down()
        with network.udp(network.left) as left, network.udp(network.right) as right, \
                network.udp(network.public, network.public.address) as server:
            for sock, side in ((left, 'left'), (right, 'right')):
                sent = time.monotonic()
                sock.sendto(b'there', server.getsockname())
                server.sendto(b'back', server.recvfrom(64)[1])
                sock.recv(64)
                took = time.monotonic() - sent
                must(took >= 0.04, f'{side}: a round trip took {took * 1000:.1f} ms')
            network.boxes['left-router-line'].tell('loss 1000000')
            left.sendto(b'lost', server.getsockname())
            right.sendto(b'control', server.getsockname())
            must(server.recv(64) == b'control', 'nothing was lost')


@scenario(('full-cone', 'port-restricted'), ('address-restricted', 'open'), ('symmetric', 'cgnat'),
          ('symmetric-sequential', 'udp-blocked'), ('tcp-443-only', 'open'))
def nat_verdict(left, right):
    """`nat` finds what coturn's client finds."""
    programs()
    with Lab(Network(left, right)) as lab:
        lab.set_up()
        clients = [(person, person.cli('nat')) for person in (lab.left, lab.right)]
        for person, client in clients:
            client.expect_exit(0, 60)
            said, kind = client.events[-1], person.host.kind
            must(said['type'] == OWN_VERDICTS[kind][0], f'{kind}: {said}')
            must(said['hairpin'] is not True, f'{kind}: {said}')
            if kind in FOREIGN_VERDICTS:
                mapping, filtering = (verdict.rsplit(' ', 1)[0].lower().replace(' ', '-')
                                      for verdict in FOREIGN_VERDICTS[kind])
                must((said['mapping'], said['filtering']) == (mapping, filtering), f'{kind}: {said}')


# --- Pairs ----------------------------------------------------------------------------------------

# Each tells something that the others do not.
TELLING_PAIRS = (
    ('port-restricted', 'port-restricted'),
    ('full-cone', 'port-restricted'),
    ('port-restricted', 'open'),
    ('cgnat', 'cgnat'),
    ('symmetric', 'address-restricted'),
    ('symmetric-sequential', 'full-cone'),
    ('port-restricted', 'symmetric'),
    ('port-restricted', 'symmetric-sequential'),
    ('udp-blocked', 'udp-blocked'),
    ('same-lan', 'same-lan'),
)
PAIR_SIZE = 20_000_000
PAIR_DELAY_MS = 10


def check_pair(left, right):
    programs()
    cell = run_cell(left, right, PAIR_SIZE, PAIR_DELAY_MS)
    if cell['problem']:
        error = LabError(f'{cell["problem"]}: {json.dumps({key: cell[key] for key in cell if key != "log"})}')
        error.logs = cell.get('log', '')
        raise error


@scenario(*TELLING_PAIRS)
def pair(left, right):
    """The best path there can be, though nothing gets in unasked."""
    check_pair(left, right)


@scenario(*(pair for pair in PAIRS if pair not in TELLING_PAIRS and pair[::-1] not in TELLING_PAIRS), long=True)
def every_pair(left, right):
    check_pair(left, right)


@scenario()
def poisonable():
    """Routers that keep a note of what nobody asked for, and so lose the port that a punch needs: openers that die
    on the way come first."""
    programs()
    with Lab(Network('port-restricted', 'port-restricted')) as lab:
        lab.network.let_in()
        lab.start_coturn()
        lab.start_rendezvous(relays=False)
        lab.introduce()
        file = lab.work / 'poison.bin'
        write_random(file, 1_000_000)
        must(transfer(lab, file)['path'] == 'udp', 'no direct path')


# --- Relays ---------------------------------------------------------------------------------------

@scenario(('symmetric', 'symmetric'), ('udp-blocked', 'symmetric'), ('tcp-443-only', 'symmetric'))
def relayed(left, right):
    """Where no punch gets through, the relay does: over UDP, over TCP, over TLS on port 443."""
    programs()
    with Lab(Network(left, right)) as lab:
        lab.set_up()
        file = lab.work / 'relayed.bin'
        write_random(file, 20_000_000)
        delivered = transfer(lab, file)
        must(delivered['path'] == delivered['best_path'] == 'relay', json.dumps(delivered))
        must(delivered['direct_ms'] is None, json.dumps(delivered))
        must(lab.network.crossed() > 20_000_000, 'and where did it go?')


@scenario()
def shipped_coturn():
    """The coturn settings that Porthole ships, as shipped but for addresses and secret, relay a file."""
    programs()
    with Lab(Network('symmetric', 'symmetric')) as lab:
        lab.start_shipped_coturn()
        lab.start_rendezvous()
        lab.introduce()
        file = lab.work / 'relayed.bin'
        write_random(file, 5_000_000)
        must(transfer(lab, file)['path'] == 'relay', 'not relayed')
        client = lab.left.do('nat')
        must(client.events[-1]['mapping'] == APD, f'its two addresses tell: {json.dumps(client.events[-1])}')


def sending(lab, size):
    """A receiver and a sender of a file of that size, on a line where that takes some seconds."""
    lab.network.hold(SLOW)
    file = lab.work / 'file.bin'
    write_random(file, size)
    receiver = lab.right.receive()
    return file, receiver, lab.left.cli('send', lab.left.contact, file)


def arrives(lab, file, receiver, sender, seconds):
    sender.expect_exit(0, seconds)
    receiver.expect_exit(0, 30)
    compare(file, lab.right.inbox / file.name)
    return sender.last_event('delivered')


def await_bytes(sender, least):
    return sender.wait_event('progress', 60, lambda event: event['bytes'] >= least)


def await_path(sender, *kinds):
    return sender.wait_event('path', 60, lambda event: event['path'] in kinds)


def relay_name_until(lab, seconds):
    """coturn's REST scheme: the setting `turn` with a name that ends so many seconds from now."""
    name = f'{int(time.time()) + seconds}:somebody'
    password = base64.b64encode(hmac.digest(lab.turn_secret.read_text().encode(), name.encode(), 'sha1')).decode()
    return f'turn:{quote(name, safe="")}:{quote(password, safe="")}@{lab.network.public.address}'


@scenario()
def relay_name_ends():
    """The name that a relay knows a device by ends in a minute, and there is a later one: a file moves to an allocation
    under that name, and the first one goes after it, so nobody waits."""
    programs()
    with Lab(Network('symmetric', 'symmetric')) as lab:
        lab.start_coturn()
        lab.start_rendezvous(relays=False)
        lab.introduce()
        for person in (lab.left, lab.right):
            person.do('config', 'set', 'turn', f'{relay_name_until(lab, 70)} {relay_name_until(lab, 3600)}')
        lab.network.hold('40mbit')
        file = lab.work / 'file.bin'
        write_random(file, 300_000_000)
        receiver = lab.right.receive()
        sender = lab.left.cli('send', lab.left.contact, file, '--explain')
        await_path(sender, 'relay')
        await_bytes(sender, 2_000_000)
        since = time.monotonic()
        for text in ('relayed address', 'our address is gone'):
            sender.wait_event('explain', 40, lambda event: text in event['text'])
        await_bytes(sender, sender.last_event('progress')['bytes'] + 2_000_000)
        pause = longest_pause(list(receiver.events), since)
        must(pause <= 1.5, f'{pause:.2f} s without a byte')
        lab.network.release()
        arrives(lab, file, receiver, sender, 60)


@scenario()
def relay_restarts():
    """coturn is killed in mid-file and started again a moment later: the file goes on."""
    programs()
    with Lab(Network('symmetric', 'symmetric')) as lab:
        coturn = lab.start_coturn()
        lab.start_rendezvous()
        lab.introduce()
        file, receiver, sender = sending(lab, SLOW_FILE)
        await_bytes(sender, SLOW_FILE // 4)
        coturn.kill()
        lab.start_coturn()
        delivered = arrives(lab, file, receiver, sender, 60)
        must(delivered['path'] == 'relay', json.dumps(delivered))


@scenario()
def relay_refuses():
    """A meeting point that shares no secret with coturn: the sender ends when its time is over, the report
    says that there is no relay, and where a direct path is possible nothing is missed."""
    programs()
    with Lab(Network('symmetric', 'symmetric')) as lab:
        lab.start_coturn()
        other = lab.work / 'other-secret'
        other.write_text('another secret altogether')
        lab.start_rendezvous(secret=other)
        lab.introduce()
        client = lab.left.do('nat')
        must(client.events[-1]['relay'] is False, json.dumps(client.events[-1]))
        file = lab.work / 'refused.bin'
        write_random(file, 100_000)
        receiver = lab.right.receive()
        sender = lab.left.do('send', lab.left.contact, file, '--timeout', '10', status=4)
        must(sender.last_event('failed')['code'] == 'timed-out', json.dumps(sender.last_event('failed')))
        receiver.kill()


@scenario()
def relay_full():
    """A relay with one place left is enough for two."""
    programs()
    with Lab(Network('symmetric', 'symmetric')) as lab:
        lab.start_coturn('--total-quota=1')
        lab.start_rendezvous()
        lab.introduce()
        file = lab.work / 'full.bin'
        write_random(file, 1_000_000)
        must(transfer(lab, file)['path'] == 'relay', 'not relayed')


@scenario()
def relay_becomes_direct():
    """A file begins over the relay, and goes on directly when that becomes possible."""
    programs()
    with Lab(Network('port-restricted', 'port-restricted')) as lab:
        lab.set_up()
        lab.network.part()
        file, receiver, sender = sending(lab, 3 * SLOW_FILE)
        await_path(sender, 'relay')
        await_bytes(sender, 1_000_000)
        lab.network.part(False)
        await_path(sender, 'udp')
        delivered = arrives(lab, file, receiver, sender, 60)
        must(delivered['best_path'] == 'udp' and delivered['direct_ms'] > 0, json.dumps(delivered))


@scenario(('port-restricted', 'symmetric'), ('symmetric-sequential', 'port-restricted'),
          ('symmetric-sequential', 'symmetric-sequential'))
def guessed(left, right):
    """Ports that have to be guessed are, while the file is on its way over the relay."""
    programs()
    with Lab(Network(left, right)) as lab:
        lab.set_up()
        lab.network.hold('8mbit')
        file = lab.work / 'guessed.bin'
        write_random(file, 25_000_000)
        receiver = lab.right.receive()
        sender = lab.left.cli('send', lab.left.contact, file)
        await_path(sender, 'relay')
        await_path(sender, 'udp')
        lab.network.release()
        delivered = arrives(lab, file, receiver, sender, 60)
        must(delivered['best_path'] == 'udp' and delivered['direct_ms'] > 0, json.dumps(delivered))


@scenario()
def direct_dies():
    """The direct path dies in mid-file: the relay takes over, and the path is used again when it is back."""
    programs()
    with Lab(Network('port-restricted', 'port-restricted')) as lab:
        lab.set_up()
        file, receiver, sender = sending(lab, 3 * SLOW_FILE)
        await_path(sender, 'udp')
        await_bytes(sender, 10_000_000)
        lab.network.part()
        await_path(sender, 'relay')
        lab.network.part(False)
        await_path(sender, 'udp')
        arrives(lab, file, receiver, sender, 60)


def longest_pause(events, since):
    """Seconds between two reports of more bytes, from the last one before `since` on."""
    times, bytes_before = [], -1
    for event in events:
        if event.get('event') == 'progress' and event['bytes'] > bytes_before:
            times.append(event['at'])
            bytes_before = event['bytes']
    first = max(index for index, at in enumerate(times) if at <= since)
    return max(later - earlier for earlier, later in zip(times[first:], times[first + 1:]))


@scenario(('left',), ('right',))
def new_address(side):
    """An address that changes in mid-file costs 2 s at most, and the NAT is looked at again."""
    programs()
    with Lab(Network('port-restricted', 'port-restricted')) as lab:
        lab.set_up()
        lab.network.hold(SLOW)
        file = lab.work / 'file.bin'
        write_random(file, 2 * SLOW_FILE)
        receiver = lab.right.receive()
        sender = lab.left.cli('send', lab.left.contact, file, '--explain')
        await_path(sender, 'udp')
        sender.wait_event('explain', 30, lambda event: 'nat: port-restricted' in event['text'])
        await_bytes(receiver, 10_000_000)
        moved = time.monotonic()
        lab.network.move(side)
        arrives(lab, file, receiver, sender, 90)
        pause = longest_pause(list(receiver.events), moved)
        must(pause <= 2, f'{pause:.2f} s without a byte')
        verdicts = [event for event in sender.events if 'nat: port-restricted' in event.get('text', '')]
        must(side != 'left' or verdicts[-1]['at'] > moved, 'the NAT was not looked at again')


# --- Ports that routers open -----------------------------------------------------------------------

@scenario(('pcp', 'symmetric', 'udp'), ('nat-pmp', 'symmetric', 'udp'), ('upnp', 'symmetric', 'udp'),
          ('pcp', 'udp-blocked', 'tcp'))
def port_mapping(protocol, left, path):
    """A router that opens ports makes a direct path where none could be punched; the port is closed in the end."""
    programs()
    with Lab(Network(left, 'symmetric')) as lab:
        if protocol == 'nat-pmp':  # a router that has never heard of PCP, and drops it
            run(within(lab.network.prefix + 'left-router', [
                'nft', 'insert rule ip router own iifname lan udp dport 5351 @th,64,8 2 drop']))
        lab.start_port_mapper(lab.left.host, 'left-router', mappings=protocol != 'upnp', upnp=protocol == 'upnp')
        lab.set_up()
        report = lab.left.do('nat').events[-1]
        must(report['portmap'] == protocol, 'the report does not name it')
        must(report['portmap_open'] is (None if left == 'udp-blocked' else True), json.dumps(report))
        file = lab.work / 'mapped.bin'
        write_random(file, 5_000_000)
        delivered = transfer(lab, file, wait_for_better=True)
        must(delivered['best_path'] == path, json.dumps(delivered))
        lab.await_no_mapped_ports('left-router')
        lab.left.do('config', 'set', 'port-mapping', 'false')
        must(lab.left.do('nat').events[-1]['portmap'] is None, 'switched off, and mapped')


@scenario()
def port_mapping_lies():
    """A router that says it has opened a port and lets nobody in: the report says so."""
    programs()
    with Lab(Network('port-restricted', 'symmetric')) as lab:
        lab.start_port_mapper(lab.left.host, 'left-router')
        run(within(lab.network.prefix + 'left-router', ['nft', 'insert rule inet mapper prerouting accept']))
        lab.start_coturn()
        lab.left.do('config', 'set', 'stun', lab.network.public.address)
        report = lab.left.do('nat').events[-1]
        must((report['portmap'], report['portmap_open']) == ('pcp', False), json.dumps(report))


def self_signed(lab, name):
    """(certificate, key) that nobody vouches for."""
    certificate, key = lab.work / f'{name}.pem', lab.work / f'{name}.key'
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes',
                    '-days', '2', '-subj', '/CN=lab', '-keyout', key, '-out', certificate],
                   check=True, capture_output=True)
    return certificate, key


@scenario()
def pinned_certificate():
    """A meeting point with a certificate of its own making: the invitation carries its pin, and another
    certificate at the same address is not believed."""
    programs()
    with Lab(Network('port-restricted', 'address-restricted')) as lab:
        lab.start_coturn()
        lab.start_rendezvous(self_signed(lab, 'first'))
        must(lab.rendezvous.startswith('wss://'), f'the address is {lab.rendezvous}')
        lab.introduce()
        file = lab.work / 'pinned.bin'
        write_random(file, 100_000)
        transfer(lab, file)
        lab.rendezvous_program.kill()
        lab.start_rendezvous(self_signed(lab, 'second'))
        for person in (lab.left, lab.right):
            client = person.cli('receive', '--accept')
            status = client.wait_event('status', 30)
            must(status['status'] == 'offline' and status['reason'], f'{person.name}: {status}')
            client.kill()


@scenario(long=True)
def no_path():
    """Where no path can be, the sender ends when its time is over, and nothing goes over the public host."""
    programs()
    with Lab(Network('symmetric', 'symmetric')) as lab:
        lab.start_coturn()
        lab.start_rendezvous(relays=False)
        lab.introduce()
        file = lab.work / 'stuck.bin'
        write_random(file, 1_000_000)
        before = lab.network.crossed()
        receiver = lab.right.receive()
        sender = lab.left.do('send', lab.left.contact, file, '--timeout', '10', status=4)
        must(sender.last_event('failed')['code'] == 'timed-out', f'said {sender.last_event("failed")}')
        must(lab.network.crossed() - before < CROSSING_MAX, 'the file crossed the public host')
        must(listing(lab.right.inbox) == {}, f'written: {listing(lab.right.inbox)}')
        receiver.kill()


# --- What is sent ---------------------------------------------------------------------------------

@scenario()
def awkward_folder():
    """Empty files and folders, names in many scripts, depth, sizes around the block sizes."""
    programs()
    with Lab(Network('port-restricted', 'address-restricted')) as lab:
        lab.set_up()
        folder = awkward_tree(lab.work / 'awkward')
        delivered = transfer(lab, folder)
        sizes = [size for size in listing(folder).values() if size is not None]
        must(delivered['files'] == len(sizes), f'{delivered["files"]} files instead of {len(sizes)}')
        must(delivered['bytes'] == sum(sizes), f'{delivered["bytes"]} bytes instead of {sum(sizes)}')


@scenario()
def empty_file_and_several_paths():
    programs()
    with Lab(Network('open', 'open')) as lab:
        lab.set_up()
        paths = []
        for name, size in (('nothing', 0), ('one', 1), ('some', 100_000)):
            paths.append(lab.work / name)
            write_random(paths[-1], size)
        receiver = lab.right.receive()
        lab.left.do('send', lab.left.contact, *paths, timeout=60)
        receiver.expect_exit(0, 30)
        for path in paths:
            compare(path, lab.right.inbox / path.name)


@scenario()
def existing_file_is_kept():
    """What is already there stays as it is; the newcomer gets another name."""
    programs()
    with Lab(Network('open', 'open')) as lab:
        lab.set_up()
        file = lab.work / 'report.txt'
        file.write_text('new')
        (lab.right.inbox / 'report.txt').write_text('old')
        receiver = lab.right.receive()
        lab.left.do('send', lab.left.contact, file, timeout=60)
        receiver.expect_exit(0, 30)
        must((lab.right.inbox / 'report.txt').read_text() == 'old', 'the existing file was replaced')
        compare(file, lab.right.inbox / 'report (1).txt')


# --- Interrupted ----------------------------------------------------------------------------------

def past(share, total):
    return lambda event: event['bytes'] >= share * total


def check_resumed(client, total):
    """The first byte count that a restarted program tells is far from the beginning."""
    told = client.wait_event('progress', 60, lambda event: event['bytes'] > 0)['bytes']
    must(told >= total / 10, f'began again: {told} of {total} bytes when it went on')


def slow_transfer(lab):
    """Starts one and waits until it is well under way: (file, sender, receiver)."""
    lab.set_up()
    file = lab.work / 'slow.bin'
    write_random(file, SLOW_FILE)
    receiver = lab.right.receive()
    sender = lab.left.cli('send', lab.left.contact, file)
    receiver.wait_event('progress', 60, past(0.6, SLOW_FILE))
    must(sender.process.poll() is None, 'the transfer was over before it could be interrupted')
    return file, sender, receiver


@scenario()
def receiver_killed():
    """kill -9 of the receiver; the next one goes on where it was, the sender notices nothing but a wait."""
    programs()
    with Lab(Network('port-restricted', 'address-restricted', rate=SLOW)) as lab:
        file, sender, receiver = slow_transfer(lab)
        receiver.kill()
        must(not (lab.right.inbox / file.name).exists(), 'a file that is not whole has its final name')
        again = lab.right.receive()
        check_resumed(again, SLOW_FILE)
        sender.expect_exit(0, 90)
        again.expect_exit(0, 30)
        compare(file, lab.right.inbox / file.name)
        must(sorted(os.listdir(lab.right.inbox)) == [file.name], f'left over: {os.listdir(lab.right.inbox)}')


@scenario()
def sender_killed():
    """kill -9 of the sender; `resume` goes on where it was."""
    programs()
    with Lab(Network('port-restricted', 'address-restricted', rate=SLOW)) as lab:
        file, sender, receiver = slow_transfer(lab)
        transfer_id = sender.last_event('progress')['transfer']
        sender.kill()
        again = lab.left.cli('resume', transfer_id)
        check_resumed(again, SLOW_FILE)
        again.expect_exit(0, 90)
        receiver.expect_exit(0, 30)
        compare(file, lab.right.inbox / file.name)


@scenario()
def both_killed():
    programs()
    with Lab(Network('full-cone', 'port-restricted', rate=SLOW)) as lab:
        file, sender, receiver = slow_transfer(lab)
        transfer_id = sender.last_event('progress')['transfer']
        sender.kill()
        receiver.kill()
        receiver = lab.right.receive()
        sender = lab.left.cli('resume', transfer_id)
        check_resumed(sender, SLOW_FILE)
        sender.expect_exit(0, 90)
        receiver.expect_exit(0, 30)
        compare(file, lab.right.inbox / file.name)


@scenario()
def rendezvous_gone():
    """Once a path is there the meeting point is not needed; when it is back, so are its clients."""
    programs()
    with Lab(Network('port-restricted', 'address-restricted', rate=SLOW)) as lab:
        lab.set_up()
        file = lab.work / 'slow.bin'
        write_random(file, SLOW_FILE)
        receiver = lab.right.receive(count=2)
        sender = lab.left.cli('send', lab.left.contact, file)
        sender.wait_event('progress', 60)
        lab.rendezvous_program.kill()
        sender.expect_exit(0, 90)
        compare(file, lab.right.inbox / file.name)
        lab.start_rendezvous()
        second = lab.work / 'second.bin'
        write_random(second, 1000)
        lab.left.do('send', lab.left.contact, second, timeout=90)
        receiver.expect_exit(0, 30)
        compare(second, lab.right.inbox / second.name)


@scenario()
def only_a_proxy():
    """Nothing gets out but what an HTTP proxy passes on to port 443: meeting point and relay are reached through it."""
    programs()
    with Lab(Network('tcp-443-only', 'symmetric')) as lab:
        lab.start_coturn()
        lab.start_rendezvous(self_signed(lab, 'rendezvous'))
        proxy = f'http://{lab.start_proxy()}'
        for rule in ('tcp dport 443 drop', f'tcp dport {PROXY_PORT} accept'):
            run(within(lab.network.prefix + 'left-router', ['nft', f'insert rule ip router through iifname lan oifname wan {rule}']))
        file = lab.work / 'proxied.bin'
        write_random(file, 1_000_000)
        lab.left.env.update(https_proxy=proxy, http_proxy=proxy)
        lab.introduce()
        must(transfer(lab, file)['path'] == 'relay', 'not relayed')


# --- Answers that are no ---------------------------------------------------------------------------

@scenario()
def declined():
    """No means that nothing touched the disk."""
    programs()
    with Lab(Network('port-restricted', 'address-restricted')) as lab:
        lab.set_up()
        file = lab.work / 'unwanted.bin'
        write_random(file, 1_000_000)
        keyboard, terminal = pty.openpty()
        receiver = lab.right.cli('receive', '--to', lab.right.inbox, '--count', '1', stdin=terminal)
        os.close(terminal)
        sender = lab.left.cli('send', lab.left.contact, file)
        receiver.wait_event('offer', 60)
        before = listing(lab.right.inbox)
        os.write(keyboard, b'n\n')
        sender.expect_exit(3, 60)
        receiver.expect_exit(3, 30)
        os.close(keyboard)
        must(sender.last_event('failed')['code'] == 'declined', f'said {sender.last_event("failed")}')
        must(before == listing(lab.right.inbox) == {}, f'written: {listing(lab.right.inbox)}')


@scenario()
def nobody_there():
    """A contact that is offline: said, waited for, and in the end a time-out; later it goes through."""
    programs()
    with Lab(Network('port-restricted', 'address-restricted')) as lab:
        lab.set_up()
        file = lab.work / 'later.bin'
        write_random(file, 100_000)
        late = lab.left.do('send', lab.left.contact, file, '--timeout', '2', status=4)
        must(late.last_event('failed')['code'] == 'timed-out', f'said {late.last_event("failed")}')
        waiting = lab.left.cli('send', lab.left.contact, file)
        waiting.wait_event('status', 30, lambda event: event['status'] == 'online')
        receiver = lab.right.receive(count=2)
        waiting.expect_exit(0, 60)
        compare(file, lab.right.inbox / file.name)
        receiver.kill()


@scenario()
def invitation_works_once():
    programs()
    with Lab(Network('port-restricted', 'open')) as lab:
        lab.start_coturn()
        lab.start_rendezvous()
        link = lab.introduce()
        third = Person(lab, 'third', lab.network.right)
        refused = third.do('add', '-', text=link + '\n', status=1)
        must(refused.last_event('failed')['code'] in ('invitation-used', 'invitation-expired'),
             f'said {refused.last_event("failed")}')
        must(not third.do('contacts').last_event('contact'), 'the third one has a contact')
        own = lab.left.cli('invite')
        own_link = own.wait_event('invitation', 30)['link']
        must(own_link != link, 'two invitations are the same')
        own.kill()


@scenario()
def mistakes():
    """What a person gets wrong is answered with a code, a sentence and the right status."""
    programs()
    with Lab(Network('open', 'open')) as lab:
        lab.start_coturn()
        lab.start_rendezvous()
        file = lab.work / 'x'
        file.write_text('x')

        def failed(*arguments, code, status=1, text=None):
            said = lab.left.do(*arguments, status=status, text=text).last_event('failed')
            must(said and said['code'] == code and said['message'], f'{arguments[0]}: said {said}, not {code}')
            return said['message']

        failed('config', 'get', 'rendevous', code='unknown-setting', status=2)
        failed('send', 'Nobody', file, code='unknown-contact')
        failed('add', 'porthole:nonsense', code='bad-invitation')
        lab.left.do('config', 'set', 'nearby', 'false')
        failed('invite', code='no-rendezvous')
        lab.left.do('config', 'set', 'nearby', 'true')
        failed('frobnicate', code='usage', status=2)
        lab.introduce()
        must('Right' in failed('send', 'Rigth', file, code='unknown-contact'), 'the nearest name is not suggested')
        failed('send', lab.left.contact, lab.work / 'not there', code='files')
        lab.left.do('config', 'set', 'rendezvous', 'ws://192.0.2.12:1')
        staying = lab.right.receive()
        staying.wait_event('status', 30)
        in_use = lab.right.do('receive', '--accept', status=1)
        must(in_use.last_event('failed')['code'] == 'profile-in-use', f'said {in_use.last_event("failed")}')
        staying.kill()
        staying = lab.right.cli('receive', '--accept', '--to', file)
        staying.expect_exit(1, 30)
        must(staying.last_event('failed')['code'] == 'folder', f'said {staying.last_event("failed")}')


@scenario()
def no_space():
    """Too little room is said before the first byte, and nothing is left behind."""
    programs()
    with Lab(Network('open', 'open')) as lab:
        lab.set_up()
        small = lab.work / 'small'
        small.mkdir()
        subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', small], check=True)
        try:
            file = lab.work / 'large.bin'
            write_random(file, 20_000_000)
            receiver = lab.right.cli('receive', '--accept', '--to', small, '--count', '1')
            sender = lab.left.cli('send', lab.left.contact, file, '--timeout', '30')
            receiver.wait_event('failed', 60, lambda event: event['code'] == 'no-space')
            must(listing(small) == {}, f'left behind: {listing(small)}')
            must(not sender.last_event('progress') or sender.last_event('progress')['bytes'] == 0, 'bytes flowed')
        finally:
            receiver.kill()
            subprocess.run(['umount', '-l', small], check=True)
