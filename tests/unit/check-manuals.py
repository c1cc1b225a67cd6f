#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manual pages format without a warning, and porthole-cli's tells of every command and option.

usage: check-manuals.py CLI RENDEZVOUS (CLI: porthole-cli, or its commands on the fake engine)"""

import os
import re
import subprocess
import sys
from pathlib import Path

DATA = Path(os.environ['TOP_SRCDIR'], 'data')


def output(*argv, **env):
    return subprocess.run(argv, capture_output=True, text=True, check=False, env={**os.environ, **env})


def page(name):
    done = output('man', '--warnings', '--encoding=UTF-8', '--local-file', str(DATA / name),
                  MANWIDTH='100', LC_ALL='C.UTF-8', MANPAGER='cat', GROFF_NO_SGR='1')
    text = re.sub(r'.\x08', '', done.stdout).replace('\u2010', '-')
    return done.returncode, text, done.stderr.strip()


def complaints(program, rendezvous):
    for name in ('porthole-cli.1', 'porthole-rendezvous.1', 'porthole.1'):
        status, text, warnings = page(name)
        if status != 0 or warnings:
            yield f'{name}: {warnings or status}'
        if 'SEE ALSO' not in text:
            yield f'{name}: not formatted'

    text = page('porthole-cli.1')[1]
    listed = output(program, '--help').stdout
    commands = re.findall(r'^  ([a-z]+) +\S', listed[listed.index('Commands:'):], re.M)
    if len(commands) < 10:
        yield f'commands in the help: {commands}'
    for command in commands:
        if not re.search(rf'^ {{7}}(\S+ \S+, )?{command}\b', text, re.M):
            yield f'porthole-cli.1: {command} is missing'
        for option in re.findall(r'--[a-z-]+', output(program, command, '--help').stdout):
            if option not in text and option not in ('--help-all', '--limit'):
                yield f'porthole-cli.1: {command} {option} is missing'

    source = (DATA.parent / 'app/engine/ph-core-settings.c').read_text(encoding='utf-8')
    settings = re.findall(r'"([a-z-]+)"', re.search(r'\bkeys\[\] = \{(.*?)\}', source, re.S).group(1))
    if len(settings) < 10:
        yield f'settings in the source: {settings}'
    for setting in settings:
        if setting not in text:
            yield f'porthole-cli.1: the setting {setting} is missing'

    text = page('porthole-rendezvous.1')[1]
    options = set(re.findall(r'--[a-z-]+', output(rendezvous, '--help').stdout)) - {'--redis'}
    if len(options) < 5:
        yield f'options of porthole-rendezvous: {options}'
    for option in options:
        if option not in text:
            yield f'porthole-rendezvous.1: {option} is missing'


found = list(complaints(os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])))
print('\n'.join(found))
sys.exit(1 if found else 0)
