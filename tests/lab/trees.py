# SPDX-License-Identifier: GPL-3.0-or-later
"""Files to send, and the comparison of what has arrived."""

import os
import random
import shutil
from pathlib import Path

from network import LabError

PIECE = 1 << 20


def write_random(path, size):
    """A file that nothing can compress or guess."""
    with open(path, 'wb') as file:
        while size > 0:
            size -= file.write(os.urandom(min(size, PIECE)))


def awkward_tree(folder):
    """A folder of what transfer programs get wrong: empty files and folders, names in many scripts,
    depth, many small files, sizes around the block sizes."""
    folder.mkdir()
    (folder / 'empty folder').mkdir()
    (folder / 'empty folder' / 'within').mkdir()
    (folder / 'empty file').touch()
    for name in ('Grüße.txt', 'Ελλάδα.txt', '写真.jpg', 'ملف.txt', '🚪.bin', "it's \"quoted\" & <b>.txt",
                 '-n', '--help', '%s%n', '.hidden', 'a' * 200):
        (folder / name).write_text(name, encoding='utf-8')
    deep = folder
    for level in range(20):
        deep = deep / f'level {level}'
    deep.mkdir(parents=True)
    (deep / 'bottom').write_text('found')
    generator = random.Random(1)
    sizes = folder / 'sizes'
    sizes.mkdir()
    for size in (1, 1199, 1200, 1201, 65535, 65536, 65537, 262143, 262144, 262145, (1 << 20) + 7):
        (sizes / f'{size}.bin').write_bytes(generator.randbytes(size))
    many = folder / 'many'
    many.mkdir()
    for number in range(300):
        (many / f'{number:03}').write_bytes(generator.randbytes(generator.randrange(2000)))
    return folder


def copy_sources(top, folder):
    """The project's own source tree: what git would hold, without what was built from it."""
    shutil.copytree(top, folder, symlinks=False,
                    ignore=shutil.ignore_patterns('.git', 'build', '__pycache__', '*.pyc'))
    return folder


def listing(folder):
    """{relative path: size, or None for a folder}; anything else than files and folders is an error."""
    found = {}
    for parent, folders, files in os.walk(folder):
        for name in folders:
            path = Path(parent, name)
            if path.is_symlink():
                raise LabError(f'{path} is a symbolic link')
            found[str(path.relative_to(folder))] = None
        for name in files:
            path = Path(parent, name)
            if path.is_symlink() or not path.is_file():
                raise LabError(f'{path} is not a plain file')
            found[str(path.relative_to(folder))] = path.stat().st_size
    return found


def same_bytes(a, b):
    with open(a, 'rb') as first, open(b, 'rb') as second:
        while True:
            x, y = first.read(PIECE), second.read(PIECE)
            if x != y:
                return False
            if not x:
                return True


def compare(sent, received):
    """Raises LabError at the first difference between two files or folders; returns (files, bytes)."""
    sent, received = Path(sent), Path(received)
    if sent.is_file():
        if not received.is_file():
            raise LabError(f'{received.name} has not arrived')
        if not same_bytes(sent, received):
            raise LabError(f'{received.name} differs from what was sent')
        return 1, sent.stat().st_size
    if not received.is_dir():
        raise LabError(f'the folder {received.name} has not arrived')
    wanted, found = listing(sent), listing(received)
    missing, extra = sorted(wanted.keys() - found.keys()), sorted(found.keys() - wanted.keys())
    if missing or extra:
        raise LabError(f'missing: {missing[:5]}, unexpected: {extra[:5]} ({len(missing)} and {len(extra)})')
    for name, size in wanted.items():
        if size != found[name] or (size is not None and not same_bytes(sent / name, received / name)):
            raise LabError(f'{name} differs from what was sent')
    sizes = [size for size in wanted.values() if size is not None]
    return len(sizes), sum(sizes)
