# SPDX-License-Identifier: GPL-3.0-or-later
"""`meson install` into a folder of one's own: the programs run from there and find what belongs to them."""

import os
import shutil
import subprocess

from desktop import TOP, wait_for
from journeys import household, journey, must
from people import APP_ID
from programs import Program

MANUALS = ('porthole', 'porthole-cli', 'porthole-rendezvous')


def run(*argv, **options):
    done = subprocess.run([str(word) for word in argv], capture_output=True, text=True, check=False, timeout=600, **options)
    must(done.returncode == 0, f'{argv[0]}: status {done.returncode}: {done.stdout[-1500:]}{done.stderr[-1500:]}')
    return done.stdout


@journey
def installed_prefix(desktop):
    """Built for a prefix and installed there: programs, manuals, icons, entry; and all of it speaks German."""
    with household(desktop, 'installed-prefix') as home:
        prefix = TOP / 'build/prefix/root'
        run('bash', TOP / 'run', 'build', 'prefix', env=dict(os.environ, PORTHOLE_INSIDE='1'))
        shutil.rmtree(prefix, ignore_errors=True)
        run('meson', 'install', '-C', TOP / 'build/prefix', '--no-rebuild', '--quiet')
        german = {**home.environment(home.left), 'LC_ALL': 'de_DE.UTF-8', 'LANGUAGE': 'de'}

        must('Aufruf' in run(prefix / 'bin/porthole-cli', '--help', env=german), 'the command line has no German')
        must('Aufruf' in run(prefix / 'bin/porthole', '--help', env=german), 'the application has no German')
        for name in MANUALS:
            text = run('man', '--no-hyphenation', '-P', 'cat', name, env={**os.environ, 'MANPATH': str(prefix / 'share/man')})
            must(name in text, f'no manual page for {name}')
        for name in (f'applications/{APP_ID}.desktop', f'dbus-1/services/{APP_ID}.service'):
            text = (prefix / 'share' / name).read_text(encoding='utf-8')
            must(f'Exec={prefix}/bin/porthole ' in text, f'{name} starts something else: {text}')
        must('Comment[de]=' in (prefix / f'share/applications/{APP_ID}.desktop').read_text(encoding='utf-8'), 'no German entry')

        home.settings(home.left)
        german.pop('GSETTINGS_SCHEMA_DIR')  # the schema has to be found where it was installed
        program = Program(home.lab, 'installed-porthole', home.left.host,
                          [prefix / 'bin/porthole', '--profile', home.left.profile],
                          env={**german, 'XDG_DATA_DIRS': f'{prefix}/share:/usr/share'})
        wait_for('a window', lambda: desktop.windows(program.process.pid))
        window = home.adopt(home.left, program)
        window.wait_text('Willkommen')
        window.quit()
        must((home.left.profile / 'window.ini').exists(), 'the schema was not found')
