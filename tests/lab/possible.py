# SPDX-License-Identifier: GPL-3.0-or-later
"""What is possible between two of the lab's routers, whatever Porthole does: what its matrix is judged by.

Derived from the kinds' definitions alone (network.py). A direct path over UDP needs a mapping that can be met:
two ports that are chosen at random, or one at random and one from a sequence, cannot. Where UDP does not get
out a direct path is one over TCP, which needs endpoint-independent mappings on both sides, or none on one.
Through `tcp-443-only` gets out what goes to port 443, and nobody but the relay listens there."""

from itertools import combinations_with_replacement

from network import KINDS

# The only pairs for which a relay is right; frozenset of one: the kind with itself.
RELAYED = {frozenset(pair) for pair in (
    ('symmetric',),
    ('symmetric', 'symmetric-sequential'),
    ('symmetric', 'udp-blocked'),
    ('symmetric-sequential', 'udp-blocked'),
    *((kind, 'tcp-443-only') for kind in KINDS),
)}

PAIRS = [*combinations_with_replacement(KINDS, 2), ('same-lan', 'same-lan')]


def possible_paths(left, right):
    """The values that `best_path` may have: the best there can be."""
    if 'same-lan' in (left, right):
        return ('lan',)
    if frozenset((left, right)) in RELAYED:
        return ('relay',)
    return ('tcp',) if 'udp-blocked' in (left, right) else ('udp', 'tcp')
