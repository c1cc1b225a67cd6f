# SPDX-License-Identifier: GPL-3.0-or-later
"""The suite `lab`: what must hold between real kernels' NATs."""

import functools
import subprocess

from network import LabError, Network
from programs import Lab


class Missing(Exception):
    """The scenario needs something that is not there; the text says what."""


def explain(error):
    text = f'{type(error).__name__}: {error}'
    return text + '\n' + getattr(error, 'logs', '')


# --- The networks themselves, by programs we did not write -----------------------------------------

# What coturn's NAT discovery client must say of each kind.
FOREIGN_VERDICTS = {
    'open': ('Endpoint Independent Mapping', 'Endpoint Independent Filtering'),
    'full-cone': ('Endpoint Independent Mapping', 'Endpoint Independent Filtering'),
    'address-restricted': ('Endpoint Independent Mapping', 'Address Dependent Filtering'),
    'port-restricted': ('Endpoint Independent Mapping', 'Address and Port Dependent Filtering'),
    'symmetric': ('Address and Port Dependent Mapping', 'Address and Port Dependent Filtering'),
    'cgnat': ('Endpoint Independent Mapping', 'Address and Port Dependent Filtering'),
}


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
                if f'NAT with {verdict}!' not in said:
                    raise LabError(f'{person.host.kind}: the foreign client does not find "{verdict}":\n{said}')


def all_scenarios(long):
    """(name, function) of each scenario, the cheap ones first."""
    for left, right in (('full-cone', 'port-restricted'), ('address-restricted', 'open'), ('symmetric', 'cgnat')):
        yield f'foreign-discovery/{left}-{right}', functools.partial(foreign_discovery, left, right)
