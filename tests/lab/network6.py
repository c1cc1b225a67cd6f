# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's networks (network.py) with IPv6 in them.

    left host ------- left router --------+               +-- right router -------- right host
    2001:db8:1::2    2001:db8:1:ffff::2   |               |                      2001:db8:2::2
                                          +-- internet ---+
                                                 |
                      public host (2001:db8:ff::10, 2001:db8:ff::11; rendezvous 2001:db8:ff::12)

Addresses are of RFC 3849. A router with IPv6 has a stateful firewall and translates nothing: what a host has sent to
gets in, from that address and port alone. Its IPv4 is of the kind that was asked for; a side without IPv4 loses it
once the network has proved itself. On `same-lan` there are link-local addresses and no others."""

import contextlib

from network import LabError, Network, run, within

PUBLIC_ADDRESSES_6 = ('2001:db8:ff::10', '2001:db8:ff::11')
RENDEZVOUS_ADDRESS_6 = '2001:db8:ff::12'
SITES = {'left': '2001:db8:1', 'right': '2001:db8:2'}

# Neighbours are found by ICMPv6; "related" is what path MTU discovery lives on (RFC 4890).
FIREWALL = '''
table ip6 router {
  chain through {
    type filter hook forward priority filter; policy drop;
    iifname lan oifname wan accept
    ct state established,related accept
  }
  chain own {
    type filter hook input priority filter; policy drop;
    iifname lo accept
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, echo-request } accept
    ct state established,related accept
  }
}
'''

PARTING = '''
table ip6 parting {
  chain forward {
    type filter hook forward priority filter; policy accept;
    ip6 saddr { 2001:db8:1::/48, 2001:db8:2::/48 } ip6 daddr { 2001:db8:1::/48, 2001:db8:2::/48 } drop
  }
}
'''


class Network6(Network):
    """A Network whose sides in `ipv6` have IPv6, and only those in `ipv4` have IPv4. The public host has both; the
    rendezvous is at its IPv4 address unless nobody has IPv4."""

    def __init__(self, left, right, ipv6=('left', 'right'), ipv4=('left', 'right'), **options):
        super().__init__(left, right, **options)
        self.ipv6, self.ipv4 = ipv6, ipv4
        if not self.on_a_lan:
            self.public_addresses += PUBLIC_ADDRESSES_6
            self.relay_addresses += PUBLIC_ADDRESSES_6[:1]
        if not ipv4:
            self.rendezvous_address = RENDEZVOUS_ADDRESS_6

    @property
    def on_a_lan(self):
        return self.left_kind == 'same-lan'

    def _namespace(self, name, forward=False):
        full = super()._namespace(name, forward)
        if name in ('internet', 'public') or name.split('-')[0] in self.ipv6:
            # Addresses are there at once: nobody else has them.
            settings = [f'net.ipv6.conf.{which}.{key}={value}' for which in ('all', 'default')
                        for key, value in (('accept_dad', 0), ('accept_ra', 0), ('disable_ipv6', 0))]
            run(within(full, ['sysctl', '-qw', *settings, f'net.ipv6.conf.all.forwarding={int(forward)}']))
        return full

    def _build(self):
        super()._build()
        if self.on_a_lan:
            return
        self._ip('internet', 'address add 2001:db8:ff::1/64 dev public nodad')
        self._ip('public', *(f'address add {address}/64 dev eth0 nodad'
                             for address in (*PUBLIC_ADDRESSES_6, RENDEZVOUS_ADDRESS_6)),
                 'route add default via 2001:db8:ff::1')
        for side in self.ipv6:
            self._build_site6(side, SITES[side])

    def _build_site6(self, side, prefix):
        router = side + '-router'
        if self.prefix + router not in self.namespaces:  # an open host: nothing is in between
            self._ip('internet', f'address add {prefix}::1/64 dev {side} nodad')
            self._ip(side, f'address add {prefix}::2/64 dev eth0 nodad', f'route add default via {prefix}::1')
            return
        self._ip('internet', f'address add {prefix}:ffff::1/64 dev {router} nodad',
                 f'route add {prefix}::/64 via {prefix}:ffff::2')
        self._ip(router, f'address add {prefix}:ffff::2/64 dev wan nodad', f'route add default via {prefix}:ffff::1',
                 f'address add {prefix}::1/64 dev lan nodad')
        self._ip(side, f'address add {prefix}::2/64 dev eth0 nodad', f'route add default via {prefix}::1')
        run(within(self.prefix + router, ['nft', '-f', '-']), FIREWALL)

    def part6(self, apart=True):
        """Over IPv6 nothing gets from one site to the other, though both reach the public host; False: as before."""
        run(within(self.prefix + 'internet', ['nft', '-f', '-']), PARTING if apart else 'delete table ip6 parting')

    # --- Proving ----------------------------------------------------------------------------------

    def check(self):
        super().check()
        for side in self.ipv6 if not self.on_a_lan else ():
            self._check_firewall(side)
        for side in {'left', 'right'} - set(self.ipv4):
            run(within(self.prefix + side, ['ip', '-4', 'address', 'flush', 'dev', 'eth0']))

    def _check_firewall(self, side):
        """Out it gets as what it is; in gets the answer, and from another port nothing where there is a router."""
        host = getattr(self, side)
        own = f'{SITES[side]}::2'
        with contextlib.ExitStack() as stack:
            sock = stack.enter_context(self.udp(host, '::'))
            servers = [stack.enter_context(self.udp(self.public, PUBLIC_ADDRESSES_6[0])) for _ in range(2)]
            sock.sendto(b'open', servers[0].getsockname()[:2])
            try:
                seen = servers[0].recvfrom(64)[1][:2]
            except TimeoutError:
                raise LabError(f'{side}: nothing gets out over IPv6') from None
            if seen[0] != own:
                raise LabError(f'{side}: seen as {seen[0]} instead of {own}')
            servers[1].sendto(b'probe', seen)
            servers[0].sendto(b'control', seen)
            if (sock.recv(64) == b'probe') != (host.kind == 'open'):
                raise LabError(f'{side}: what nobody asked for was {"kept out" if host.kind == "open" else "let in"}')
