#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""./run translate LANGUAGE: brings a catalogue up to date (or begins it), says what is left to do, and with a display
starts Porthole in that language. docs/translating.md is for translators."""

import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True
TOP = Path(__file__).resolve().parent.parent
PO = TOP / 'po'
BUILD = TOP / 'build/release'
LINES_SHOWN = 20


def make_template(build, work):
    """(porthole.pot or None, what was said): by the build's own command, in the folder `work`, with links to the sources,
    into which it would write otherwise."""
    for folder in ('app', 'data'):
        Path(work, folder).symlink_to(TOP / folder)
    Path(work, 'po').mkdir()
    Path(work, 'po/POTFILES').symlink_to(PO / 'POTFILES')
    commands = subprocess.run(['ninja', '-C', str(build), '-t', 'commands', 'porthole-pot'],
                              capture_output=True, text=True, check=True).stdout.splitlines()
    argv = [f'--source-root={work}' if word.startswith('--source-root=') else word for word in shlex.split(commands[-1])]
    made = subprocess.run(argv, capture_output=True, text=True, check=False,
                          env={key: value for key, value in os.environ.items() if not key.startswith('MESON')})
    template = Path(work, 'po/porthole.pot')
    return (template if template.exists() else None), made.stdout + made.stderr


def count(statistics, word):
    """A number of what msgfmt --statistics says: of `translated`, `fuzzy` or `untranslated` messages."""
    found = re.search(rf'(\d+) {word}', statistics)
    return int(found[1]) if found else 0


def run(*argv):
    subprocess.run([str(word) for word in argv], check=True)


def update(language):
    """The catalogue has every sentence of today; one that changed keeps its translation, marked fuzzy."""
    catalogue = PO / f'{language}.po'
    with tempfile.TemporaryDirectory() as work:
        template, said = make_template(BUILD, work)
        if template is None:
            sys.exit(said)
        if catalogue.exists():
            run('msgmerge', '--quiet', '--update', '--backup=none', '--previous', '--add-location=file', catalogue, template)
        else:
            run('msginit', '--no-translator', f'--locale={language}', f'--input={template}', f'--output-file={catalogue}')
    run('msgattrib', '--no-obsolete', '--add-location=file', f'--output-file={catalogue}', catalogue)
    languages = PO / 'LINGUAS'
    listed = languages.read_text(encoding='utf-8').splitlines()
    if language not in listed:
        languages.write_text('\n'.join(sorted([*listed, language])) + '\n', encoding='utf-8')
    return catalogue


def report(catalogue):
    """True if nothing is left to do."""
    checked = subprocess.run(['msgfmt', '--check', '--statistics', '--output-file=/dev/null', catalogue],
                             capture_output=True, text=True, check=False)
    print(checked.stderr.strip())
    left = count(checked.stderr, 'untranslated') + count(checked.stderr, 'fuzzy')
    if left:
        todo = subprocess.run(['msgattrib', '--untranslated', '--no-wrap', catalogue], capture_output=True, text=True, check=True)
        fuzzy = subprocess.run(['msgattrib', '--only-fuzzy', '--no-wrap', catalogue], capture_output=True, text=True, check=True)
        lines = [line for line in (todo.stdout + fuzzy.stdout).splitlines() if re.match(r'msgid "."', line) or
                 line.startswith('msgid "') and line != 'msgid ""']
        print('\n'.join(lines[:LINES_SHOWN] + (['...'] if len(lines) > LINES_SHOWN else [])))
        print(f'{left} to do in po/{catalogue.name}: those without a translation, and those marked fuzzy')
    return checked.returncode == 0 and left == 0


def locale_of(language):
    """A locale of that language: the C locale has no translations."""
    known = {path.name for path in Path('/usr/share/i18n/locales').iterdir()}
    territory = f'{language}_{language.upper()}'
    fitting = sorted(name for name in known if name.split('_')[0] == language.split('_')[0] and '@' not in name)
    return next((name for name in (language, territory, *fitting) if name in known and '_' in name), 'en_US')


def locale_environment(folder, language):
    """Makes the locale, which this system may lack, below `folder`; returns the environment that uses it."""
    source = locale_of(language)
    target = Path(folder, f'{source}.UTF-8')
    if not target.exists():
        subprocess.run(['localedef', '-i', source, '-f', 'UTF-8', str(target)], capture_output=True, check=False)
    return {'LOCPATH': str(folder), 'LC_ALL': f'{source}.UTF-8', 'LANGUAGE': language}


def use_build():
    """The translations of the build where the program looks for them, for this process and its children."""
    share = Path('/usr/local/share')
    subprocess.run(['mount', '-t', 'tmpfs', 'tmpfs', str(share)], check=True)
    (share / 'locale').symlink_to(BUILD / 'po')


def show(language):
    """Porthole in that language, with a profile of its own, on no network."""
    run('ninja', '-C', BUILD, '--quiet')
    use_build()
    profile = TOP / 'build/translate'
    profile.mkdir(exist_ok=True)
    program = str(BUILD / 'app/gtk/porthole')
    os.environ.update(locale_environment(profile, language))
    os.execv(program, [program, '--profile', str(profile / 'profile')])


def main():
    parser = argparse.ArgumentParser(prog='./run translate')
    parser.add_argument('language', help='as in po/LINGUAS: de, pt_BR')
    language = parser.parse_args().language
    if not re.fullmatch(r'[a-z]{2,3}(_[A-Z]{2})?(@[a-z]+)?', language):
        parser.error(f'{language}: a language is written as de or pt_BR')
    complete = report(update(language))
    if os.environ.get('DISPLAY') or os.environ.get('WAYLAND_DISPLAY'):
        show(language)
    print(f'there is no display here; ./run screenshots DIR {language} makes pictures of every page')
    return 0 if complete else 1


if __name__ == '__main__':
    sys.exit(main())
