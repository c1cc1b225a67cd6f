#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The description for software centres: valid, and its pictures are ones that ./run screenshots makes.
usage: check-metainfo.py METAINFO BASE, where BASE is the address of the pictures' folder"""

import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.append(str(Path(os.environ['TOP_SRCDIR'], 'tests/ui')))

from screenshots import file_names  # noqa: E402


def complaints(metainfo, base):
    checked = subprocess.run(['appstreamcli', 'validate', '--strict', '--no-net', metainfo],
                             capture_output=True, text=True, check=False)
    if checked.returncode != 0:
        yield checked.stdout + checked.stderr
    images = [image.text for image in ElementTree.parse(metainfo).iter('image')]
    if len(images) < 3:
        yield f'only {len(images)} pictures'
    for image in images:
        folder, name = image.rsplit('/', 1)
        if folder != base:
            yield f'{image} is not below {base}'
        if name not in file_names():
            yield f'./run screenshots makes no {name}'


found = list(complaints(*sys.argv[1:]))
print('\n'.join(found))
sys.exit(1 if found else 0)
