#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Catalogues are listed, well formed, and their placeholders are those of the source."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

PO = Path(os.environ['TOP_SRCDIR'], 'po')


def run(*argv):
    return subprocess.run(argv, capture_output=True, text=True, check=False, cwd=PO.parent)


def complaints():
    listed = {word for line in (PO / 'LINGUAS').read_text().splitlines() for word in line.split('#')[0].split()}
    present = {path.stem for path in PO.glob('*.po')}
    for name in listed ^ present:
        yield f'{name}: in po/LINGUAS and as a file, or in neither'
    with tempfile.TemporaryDirectory() as work:
        template = f'{work}/porthole.pot'
        made = run('xgettext', '--files-from=po/POTFILES', f'--output={template}', '--from-code=UTF-8',
                   '--keyword=_', '--keyword=N_', '--keyword=C_:1c,2', '--keyword=ngettext:1,2',
                   '--flag=ph_output_fail:3:c-format', '--flag=ph_output_line:1:c-format')
        if made.returncode != 0 or made.stderr:
            yield 'xgettext: ' + made.stderr
            return
        for name in sorted(present):
            checked = run('msgfmt', '--check', '--statistics', '--output-file=/dev/null', f'po/{name}.po')
            if checked.returncode != 0 or 'warning' in checked.stderr:
                yield f'{name}: ' + checked.stderr
            # With the strings as they are today: how much of the program speaks this language.
            run('msgmerge', '--quiet', '--no-fuzzy-matching', f'--output-file={work}/{name}.po', f'po/{name}.po',
                template)
            done = run('msgfmt', '--check', '--statistics', '--output-file=/dev/null', f'{work}/{name}.po')
            if done.returncode != 0:
                yield f'{name}, merged: ' + done.stderr
            print(f'{name}: {done.stderr.strip()}')


found = list(complaints())
print('\n'.join(found))
sys.exit(1 if found else 0)
