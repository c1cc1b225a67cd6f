#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The suite `ui`: the real windows, driven from outside. ui.py [--build BUILD] [--long] [--json] [JOURNEY...]

Started by `./run test ui`; one journey by itself: ./run shell python3 tests/ui/ui.py NAME. A journey that
fails leaves a picture of the screen in build/ui."""

import argparse
import json
import sys
import time
import traceback

sys.dont_write_bytecode = True

from desktop import TOP, Desktop  # noqa: E402

PICTURES = TOP / 'build/ui'


def run_one(desktop, name, function):
    """The result as `suites.py` counts it: name, result (ok, fail or skip), log, seconds."""
    from journeys import Missing
    began = time.monotonic()
    result, log = 'ok', ''
    try:
        log = function(desktop) or ''
    except Missing as why:
        result, log = 'skip', str(why)
    except Exception as error:  # one that breaks is one that fails, and the next one runs
        result = 'fail'
        where = ''.join(traceback.format_tb(error.__traceback__)[-2:])
        log = f'{type(error).__name__}: {error}\n{where}{getattr(error, "logs", "")}'
        picture = getattr(error, 'picture', None)
        if picture:
            log += f'\nthe screen: {picture}'
    return {'name': name, 'result': result, 'log': log, 'seconds': round(time.monotonic() - began, 1)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--long', action='store_true')
    parser.add_argument('--build', default='release', choices=('release', 'asan'), help='what runs this build')
    parser.add_argument('--json', action='store_true', help='one object a line')
    parser.add_argument('journeys', nargs='*')
    arguments = parser.parse_args()
    PICTURES.mkdir(parents=True, exist_ok=True)
    failed = 0
    with Desktop() as desktop:
        import journeys  # the accessibility library connects when it is loaded
        journeys.own_networks_only()
        for name, function in journeys.chosen(arguments.journeys, arguments.build, arguments.long):
            outcome = run_one(desktop, name, function)
            failed += outcome['result'] == 'fail'
            if arguments.json:
                print(json.dumps(outcome), flush=True)
            else:
                print(f'{outcome["result"]:<5} {name} ({outcome["seconds"]} s)\n{outcome["log"]}'.rstrip(), flush=True)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
