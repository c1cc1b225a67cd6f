# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenarios of the suite `lab` with a left host that is on two networks at once, as a notebook is on a cable and on
the wireless one: two interfaces, two routers of the left kind, two ways into the internet. The system prefers the
first, by the metric of its route, as it would the cable."""

import json
import time

from network import Network, run, within
from programs import Lab
from scenarios import arrives, await_bytes, await_path, longest_pause, must, programs, scenario
from trees import write_random

SECOND = 'left-second'  # the second router; its public range is RFC 2544's
SECOND_PUBLIC = '198.18.0'
SECOND_PRIVATE = '10.1.3'
METRICS = {'eth0': 100, 'wlan0': 600}
DELAY_MS = 5
SECOND_DELAY_MS = 25
RATE = '60mbit'  # so that a file takes its time
KNOWN_BYTES = 165_000_000  # take 22 s; eight checks of a path, which it takes to compare others with it, take 14
RETURN_SECONDS = 20  # addresses asked for, paths checked, and the better one known by eight round trips: 5 to 10
SILENCE_SECONDS = 7  # a little less than it takes to give a STUN or TURN server up


class TwoNetworks(Network):
    """A Network whose left host has a second interface, `wlan0`, behind a router of its own."""

    def __init__(self, left, right, **options):
        super().__init__(left, right, **options)
        self.first_gateway = '10.1.1.1'

    def _build(self):
        super()._build()
        self._namespace(SECOND, forward=True)
        self._wire('left', 'wlan0', SECOND, 'lan')
        self._ip('left', f'address add {SECOND_PRIVATE}.2/24 dev wlan0',
                 f'route del default via {self.first_gateway}', *map(self._default_route, METRICS))
        self._attach(SECOND, 'wan', SECOND_PUBLIC)
        self._router(SECOND, SECOND_PRIVATE, SECOND_PUBLIC, self.left_kind, f'{SECOND_PRIVATE}.2')
        # Answers are taken on any interface that leads back to where they come from, as distributions have it.
        run(within(self.left.name, ['sysctl', '-qw', 'net.ipv4.conf.all.rp_filter=2']))

    def _default_route(self, interface):
        gateway = self.first_gateway if interface == 'eth0' else f'{SECOND_PRIVATE}.1'
        return f'route replace default via {gateway} dev {interface} metric {METRICS[interface]}'

    def slow_down(self):
        super().slow_down()
        if self.delay_ms:
            self.boxes[SECOND + '-line'].tell(f'delay {SECOND_DELAY_MS}')

    def unplug(self, side):
        self._ip(side, 'link set eth0 down')

    def plug(self, side):
        self._ip(side, 'link set eth0 up', self._default_route('eth0'))

    def cut(self, router, apart=True):
        """The line beyond this router is dead, and nothing says so; False: as before."""
        run(within(self.prefix + router, ['nft', '-f', '-']), """
table ip cut {
  chain forward { type filter hook forward priority -10; policy drop; }
}
""" if apart else 'delete table ip cut')


def by_second(event):
    """Whether a `path` event of the left side is about its second network."""
    return event['local_address'].startswith((SECOND_PUBLIC, SECOND_PRIVATE))


def sending_over_first(lab, size):
    """A file of that size on its way over the first network, both having been seen: (file, receiver, sender)."""
    file = lab.work / 'file.bin'
    write_random(file, size)
    lab.network.hold(RATE)
    receiver = lab.right.receive()
    sender = lab.left.cli('send', lab.left.contact, file, '--explain')
    path = await_path(sender, 'udp')
    must(not by_second(path), f'begins on the second network: {json.dumps(path)}')
    await_bytes(sender, 10_000_000)
    seen = [event['text'] for event in sender.events if 'is seen as' in event.get('text', '')]
    for protocol in ('socket', 'TCP'):
        must(any(SECOND_PUBLIC in text and protocol in text for text in seen), f'{protocol}: only {seen}')
    return file, receiver, sender


def goes_on(receiver, sender, since, seconds):
    """Until it goes by the second network, after a pause that was no longer than this."""
    sender.wait_event('path', 30, by_second)
    await_bytes(sender, sender.last_event('progress')['bytes'] + 5_000_000)
    pause = longest_pause(list(receiver.events), since)
    must(pause <= seconds, f'{pause:.2f} s without a byte')


def lost_and_back(lose, give_back, seconds):
    """The network that a file goes by is lost, and the file goes on over the other after a pause no longer than this;
    when the better one has come back the file returns to it, and nobody waits."""
    programs()
    with Lab(TwoNetworks('port-restricted', 'port-restricted', delay_ms=DELAY_MS)) as lab:
        lab.set_up()
        file, receiver, sender = sending_over_first(lab, 420_000_000)
        lost = time.monotonic()
        lose(lab.network)
        goes_on(receiver, sender, lost, seconds)
        await_bytes(sender, sender.last_event('progress')['bytes'] + KNOWN_BYTES)
        back = time.monotonic()
        give_back(lab.network)
        sender.wait_event('path', RETURN_SECONDS, lambda event: not by_second(event))
        await_bytes(sender, sender.last_event('progress')['bytes'] + 5_000_000)
        pause = longest_pause(list(receiver.events), back)
        must(pause <= 2, f'{pause:.2f} s without a byte on the way back')
        lab.network.release()
        arrives(lab, file, receiver, sender, 60)


@scenario()
def cable_pulled():
    """The interface that a file goes by is gone, and comes back."""
    lost_and_back(lambda network: network.unplug('left'), lambda network: network.plug('left'), 2)


@scenario()
def uplink_dies():
    """The network that a file goes by leads nowhere for a while, and nothing says so."""
    lost_and_back(lambda network: network.cut('left-router'), lambda network: network.cut('left-router', False), 6.5)


@scenario()
def leads_nowhere():
    """An interface with an address and a route, and nobody behind it: nothing waits for it."""
    programs()
    with Lab(TwoNetworks('port-restricted', 'port-restricted', delay_ms=DELAY_MS)) as lab:
        lab.network.cut(SECOND)
        lab.set_up()
        file = lab.work / 'file.bin'
        write_random(file, 1_000_000)
        receiver = lab.right.receive()
        began = time.monotonic()
        sender = lab.left.cli('send', lab.left.contact, file)
        await_path(sender, 'udp')
        took = time.monotonic() - began
        must(took < SILENCE_SECONDS, f'{took:.2f} s to the first path')
        arrives(lab, file, receiver, sender, 60)
