# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person does with Porthole, from its first start on: each journey has its own two people, their
own network, and windows that are closed at its end. They can run in any order."""

import contextlib
import functools

from desktop import TOP
from network import LabError
from people import Household, own_networks_only

PICTURES = TOP / 'build/ui'
JOURNEYS = []


class Missing(Exception):
    """The journey needs something that is not there; the text says what."""


def journey(function):
    """Registers a journey: called with the desktop, it raises when something is not as it should be, and
    may return text that is shown beside its result."""
    JOURNEYS.append((function.__name__.replace('_', '-'), function, 'release'))
    return function


def asan_journey(function):
    """One that runs the sanitizers' build; it is also told whether it may take long."""
    JOURNEYS.append((function.__name__.replace('_', '-'), function, 'asan'))
    return function


def chosen(names, build, long):
    """(name, function of the desktop) of the journeys so named, or of all that run this build."""
    import activation, contacts, drags, entry, load, monkey, opening, past, prefix, sending, windows  # noqa: F401, E401  they register themselves
    known = [name for name, _, _ in JOURNEYS]
    for name in names:
        if name not in known:
            raise LabError(f'{name}: no such journey; there are {", ".join(known)}')
    for name, function, runs in JOURNEYS:
        if name in names or not names and runs == build:
            yield name, functools.partial(function, long=long) if runs == 'asan' else function


def must(condition, text):
    if not condition:
        raise LabError(text)


@contextlib.contextmanager
def household(desktop, name, **options):
    """A household whose windows have nothing to complain about; a failure leaves a picture."""
    with Household(desktop, **options) as home:
        try:
            yield home
            home.check_logs()
        except Exception as error:
            with contextlib.suppress(Exception):
                error.picture = desktop.picture(PICTURES / f'failed-{name}.png')
            raise


__all__ = ['Missing', 'asan_journey', 'chosen', 'household', 'journey', 'must', 'own_networks_only']
