#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bash completion, sourced into a bash, on the fake engine. usage: test-completion.py PROGRAM"""

import os
import re
import subprocess
import sys
import tempfile

PROGRAM = os.path.abspath(sys.argv[1])
SCRIPT = os.path.join(os.environ['TOP_SRCDIR'], 'data/completions/porthole-cli')
HELPERS = '/usr/share/bash-completion/bash_completion'

ASK = r'''
set -u
[ -z "$HELPERS" ] || { set +u; source "$HELPERS"; set -u; }
source "$SCRIPT"
complete -p porthole-cli >/dev/null || exit 9
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
COMP_LINE="$*"
COMP_POINT=${#COMP_LINE}
COMP_TYPE=9 COMP_KEY=9
set +u
_porthole_cli porthole-cli "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
[ ${#COMPREPLY[@]} -eq 0 ] || printf '%s\n' "${COMPREPLY[@]}"
'''


def settings():
    """The keys that the engine knows."""
    with open(os.path.join(os.environ['TOP_SRCDIR'], 'app/engine/ph-core-settings.c'), encoding='utf-8') as source:
        table = re.search(r'keys\[\] = \{(.*?)NULL', source.read(), re.S).group(1)
    return set(re.findall(r'"([a-z-]+)"', table))


SETTINGS = settings()

CASES = [
    ('commands', ['re'], {'rename', 'remove', 'resume', 'receive'}),
    ('all commands', [''], {'id', 'invite', 'add', 'contacts', 'transfers', 'history', 'rename', 'remove', 'block',
                            'unblock', 'pause', 'resume', 'cancel', 'send', 'receive', 'nat', 'config'}),
    ('global options', ['--'], {'--version', '--profile', '--json', '--help'}),
    ('options of a command', ['send', '--'], {'--timeout', '--queue', '--explain', '--profile', '--json', '--help'}),
    ('options after arguments', ['send', 'Anna', 'file', '--t'], {'--timeout'}),
    ('contacts', ['send', ''], {'Anna', 'Bernd', 'Clara', 'Dora', 'Emil', 'FFFF-6666', 'GGGG-7777', 'HHHH-8888'}),
    ('a contact begun', ['block', 'An'], {'Anna'}),
    ('no second contact', ['block', 'Anna', ''], set()),
    ('after options', ['--json', '--profile', 'somewhere', 'unblock', 'Em'], {'Emil'}),
    ('the profile on the line', ['--profile', '/x/in-use', 'unblock', 'Em'], set()),
    ('files', ['send', 'Anna', 'fi'], {'file', 'finder'}),
    ('folders for --to', ['receive', '--to', ''], {'finder'}),
    ('folders for --profile', ['--profile', 'f'], {'finder'}),
    ('nothing for a number', ['send', '--timeout', ''], set()),
    ('transfers', ['cancel', 'abcd'], {'abcd1111', 'abcd2222'}),
    ('a transfer begun', ['resume', 'abcd2'], {'abcd2222'}),
    ('get and set', ['config', ''], {'get', 'set'}),
    ('settings', ['config', 'set', ''], SETTINGS),
    ('settings of a profile in use', ['--profile', '/x/in-use', 'config', 'get', ''], SETTINGS),
    ('a setting begun', ['config', 'get', 'd'], {'download-dir'}),
    ('no value', ['config', 'set', 'name', ''], set()),
]


def complete(words, folder, helpers):
    done = subprocess.run(['bash', '--norc', '--noprofile', '-c', ASK, 'bash', 'porthole-cli', *words],
                          capture_output=True, text=True, check=False, cwd=folder,
                          env={**os.environ, 'PATH': f'{folder}/finder:{os.environ["PATH"]}', 'SCRIPT': SCRIPT,
                               'HELPERS': helpers})
    return done.returncode, set(done.stdout.splitlines()), done.stderr


def main():
    variants = [('with helpers', HELPERS), ('without', '')]
    print(f'1..{len(CASES) * len(variants)}')
    bad = number = 0
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(f'{folder}/finder')
        open(f'{folder}/file', 'w', encoding='utf-8').close()
        os.symlink(PROGRAM, f'{folder}/finder/porthole-cli')
        for variant, helpers in variants:
            for name, words, wanted in CASES:
                number += 1
                status, got, errors = complete(words, folder, helpers)
                good = status == 0 and got == wanted and (errors == '' or 'compopt' in errors)
                print(f'{"ok" if good else "not ok"} {number} /completion/{name} ({variant})')
                if not good:
                    bad += 1
                    print(f'# {words}: {sorted(got)} instead of {sorted(wanted)}, status {status}, {errors!r}')
    return 1 if bad else 0


sys.exit(main())
