# SPDX-License-Identifier: GPL-3.0-or-later
"""The suite `interop` where it needs networks of its own: programs that we did not write find the lab's NATs to be
what they are said to be, get through them, and read what Porthole sends."""

import json
import subprocess
import sys
from pathlib import Path

from lab import transfer
from network import Host, Network
from programs import Lab
from scenarios import FOREIGN_VERDICTS, must, programs, scenario
from trees import write_random


@scenario(('full-cone', 'port-restricted'), ('address-restricted', 'open'), ('symmetric', 'cgnat'),
          ('symmetric-sequential', 'open'), suite='interop')
def foreign_discovery(left, right):
    """coturn's client finds behind each router the kind of NAT that the lab says is there."""
    with Lab(Network(left, right)) as lab:
        lab.start_coturn()
        clients = [(person, lab.network.start(
            person.host, ['turnutils_natdiscovery', '-m', '-f', lab.network.public.address],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)) for person in (lab.left, lab.right)]
        for person, client in clients:
            said = client.communicate(timeout=60)[0]
            for verdict in FOREIGN_VERDICTS[person.host.kind]:
                must(f'NAT with {verdict}!' in said,
                     f'{person.host.kind}: the foreign client does not find "{verdict}":\n{said}')


# What the classic client (RFC 3489's words) says of each kind.
CLASSIC_VERDICTS = {
    'open': 'Open',
    'full-cone': 'Independent Mapping, Independent Filter, preserves ports, no hairpin',
    'address-restricted': 'Independent Mapping, Address Dependent Filter, preserves ports, no hairpin',
    'port-restricted': 'Independent Mapping, Port Dependent Filter, preserves ports, no hairpin',
    'symmetric': 'Dependent Mapping, random port, no hairpin',
    'symmetric-sequential': 'Dependent Mapping, random port, no hairpin',
    'cgnat': 'Independent Mapping, Port Dependent Filter, preserves ports, no hairpin',
    'udp-blocked': 'Blocked or could not reach STUN server',
}
# And what our own verdict must be where it says so.
CLASSIC_TYPES = {
    'Open': ('open',),
    'Independent Mapping, Independent Filter': ('full-cone',),
    'Independent Mapping, Address Dependent Filter': ('address-restricted',),
    'Independent Mapping, Port Dependent Filter': ('port-restricted',),
    'Dependent Mapping': ('symmetric',),
    'Blocked': ('udp-blocked',),
}


@scenario(('full-cone', 'port-restricted'), ('address-restricted', 'open'), ('symmetric', 'cgnat'),
          ('symmetric-sequential', 'udp-blocked'), suite='interop')
def classic_discovery(left, right):
    """The classic STUN client and our own verdict agree on every router."""
    programs()
    with Lab(Network(left, right)) as lab:
        lab.start_coturn()
        people = (lab.left, lab.right)
        clients = [lab.network.start(person.host, ['stun', lab.network.public.address], stdout=subprocess.PIPE,
                                     stderr=subprocess.STDOUT, text=True) for person in people]
        for person in people:
            person.do('config', 'set', 'stun', lab.network.public.address)
        reports = [person.cli('nat') for person in people]
        for person, client, report in zip(people, clients, reports):
            said = client.communicate(timeout=60)[0]
            must(f'Primary: {CLASSIC_VERDICTS[person.host.kind]}' in said, f'{person.host.kind}: {said}')
            report.expect_exit(0, 60)
            types = next(types for words, types in CLASSIC_TYPES.items() if f'Primary: {words}' in said)
            must(report.events[-1]['type'] in types, f'{said} but {json.dumps(report.events[-1])}')


@scenario(('port-restricted', 'port-restricted', 'yes'), ('address-restricted', 'cgnat', 'yes'),
          ('symmetric', 'port-restricted', 'no'), suite='interop')
def foreign_ice(left, right, expected):
    """A foreign ICE agent punches through where that is possible, and nowhere else."""
    with Lab(Network(left, right)) as lab:
        lab.start_coturn()
        ends = [lab.network.start(
            person.host, [sys.executable, Path(__file__).with_name('foreign_ice.py'), lab.network.public.address, role],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            for person, role in ((lab.left, 'controlling'), (lab.right, 'controlled'))]
        descriptions = [end.stdout.readline() for end in ends]
        for end, other in zip(ends, reversed(descriptions)):
            end.stdin.write(other)
            end.stdin.flush()
        said = [end.stdout.readline() for end in ends]
        for line, other in zip(said, ('controlled', 'controlling')):
            must(line.startswith('{'), f'aioice: {line}')
            must(json.loads(line)['connected'] == (expected == 'yes'), f'{left} with {right}: {line}')
            must(expected == 'no' or json.loads(line)['got'] == other, f'got {line}')


def decode(capture):
    """(protocol names of every frame, whether any carries ChannelData), as tshark reads them."""
    said = subprocess.run(['tshark', '-n', '-r', capture, '-T', 'fields', '-E', 'separator=|', '-e', 'frame.number',
                           '-e', 'frame.protocols', '-e', 'stun.channel', '-e', '_ws.malformed', '-e', '_ws.expert.message'],
                          capture_output=True, text=True, check=True).stdout
    rows = [line.split('|') for line in said.splitlines()]
    bad = [row for row in rows if row[3] or 'malformed' in row[1] or 'Malformed' in row[4]]
    must(not bad, f'malformed: {bad[:5]}')
    return [row[1].split(':') for row in rows], any(row[2] for row in rows)


@scenario(('port-restricted', 'port-restricted', 'udp'), ('symmetric', 'symmetric', 'relay'), suite='interop')
def decoded(left, right, path):
    """tshark finds STUN, TURN and QUIC in what crosses the internet, and nothing malformed."""
    programs()
    with Lab(Network(left, right)) as lab:
        capture = lab.work / 'capture.pcap'
        # Between two relays of one server QUIC is nowhere but inside its host: elsewhere it is in ChannelData.
        where = lab.network.public if path == 'relay' else Host(lab.network.prefix + 'internet', '', '')
        watcher = lab.network.start(where, [
            'tcpdump', '-n', '-U', '-s', '0', '-i', 'any', '-w', capture], stderr=subprocess.PIPE, text=True)
        watcher.stderr.readline()  # it listens
        lab.set_up()
        file = lab.work / 'file'
        write_random(file, 300_000)
        must(transfer(lab, file)['path'] == path, 'another path than expected')
        watcher.terminate()
        watcher.wait()
        frames, has_channels = decode(capture)
        for protocol in ('stun', 'quic'):
            must(any(protocol in frame for frame in frames), f'no {protocol}')
        must(has_channels == (path == 'relay'), f'ChannelData: {has_channels}')
