# SPDX-License-Identifier: GPL-3.0-or-later
"""A folder that is on a disk, and a mover of small files that has nothing but the disk to wait for."""

import subprocess
import tempfile

from peers import TOP, OwnMover


def disk_folder():
    """A folder on a block device; None where there is none, as in a container in memory."""
    for folder in (TOP / 'build', tempfile.gettempdir(), '/var/tmp'):
        told = subprocess.run(['findmnt', '-n', '-o', 'SOURCE', '-T', folder], capture_output=True, text=True, check=False)
        if told.stdout.startswith('/dev/') and not told.stdout.startswith(('/dev/ram', '/dev/zram')):
            return folder
    return None


def batch_movers(lab):
    """After every 1,000 files a sync, or none at all."""
    return [OwnMover(lab, f'sync-{when}', 'bench-batch', taker_options=[when]) for when in ('batch', 'none')]


