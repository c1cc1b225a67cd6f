#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The template has every sentence of the program, and the catalogues are listed, sound, and none of their entries is
a guess. Prints how much of the program speaks each language.

The template is made by the command that the build has for it (`porthole-pot`)."""

import os
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

TOP = Path(os.environ['TOP_SRCDIR'])
BUILD = Path(os.environ['TOP_BUILDDIR'])
PO = TOP / 'po'
sys.dont_write_bytecode = True
sys.path.append(str(PO))

from translate import count, make_template  # noqa: E402

# Whether a language that lacks a sentence fails. A release sets it; while sentences still change it is off.
MUST_BE_COMPLETE = False

LITERALS = r'((?:"(?:[^"\\]|\\.)*"\s*)+)'
CALLS = (
    re.compile(r'(?<![\w"])(?:_|N_)\s*\(\s*' + LITERALS),
    re.compile(r'(?<![\w"])(?:C_|NC_)\s*\(\s*' + LITERALS.replace('(', '(?:', 1) + r',\s*' + LITERALS),
    re.compile(r'(?<![\w"])ngettext\s*\(\s*' + LITERALS + r',\s*' + LITERALS),
    re.compile(r'(?<![\w"])g_dngettext\s*\(\s*[\w]+,\s*' + LITERALS + r',\s*' + LITERALS),
)
ESCAPES = {'n': '\n', 't': '\t', '"': '"', '\\': '\\'}
DESKTOP_KEYS = ('Name', 'GenericName', 'Comment', 'Keywords')
METAINFO_ELEMENTS = ('name', 'summary', 'p', 'li', 'caption', 'keyword')


def run(*argv):
    return subprocess.run(argv, capture_output=True, text=True, check=False, cwd=TOP)


# --- What there is to translate ---------------------------------------------------------------------

def joined(literals):
    """The text of C string literals that stand side by side."""
    text = ''.join(re.findall(r'"((?:[^"\\]|\\.)*)"', literals))
    return re.sub(r'\\(x[0-9a-fA-F]{2}|.)', lambda found: ESCAPES.get(found[1], found[0]), text)


def of_c(path):
    text = path.read_text(encoding='utf-8')
    for call in CALLS:
        for found in call.finditer(text):
            yield from (joined(literals) for literals in found.groups())


def of_ui(path):
    for element in ElementTree.parse(path).iter():
        if element.get('translatable') == 'yes':
            yield element.text or ''


def of_desktop(path):
    for line in path.read_text(encoding='utf-8').splitlines():
        key, _, value = line.partition('=')
        if key in DESKTOP_KEYS:
            yield value


def of_metainfo(path):
    for element in ElementTree.parse(path).iter():
        if element.tag in METAINFO_ELEMENTS and element.get('translate') != 'no':
            yield ' '.join((element.text or '').split())


def sentences():
    """(file, text) of all that people read, whatever po/POTFILES says."""
    for pattern, reader in (('app/**/*.c', of_c), ('app/**/*.ui', of_ui), ('data/*.desktop.in', of_desktop),
                            ('data/*.metainfo.xml.in', of_metainfo)):
        for path in sorted(TOP.glob(pattern)):
            for text in reader(path):
                if text:
                    yield path.relative_to(TOP), text


# --- What the template has --------------------------------------------------------------------------

def template_texts(template):
    """All msgid and msgid_plural of a template."""
    text = template.read_text(encoding='utf-8')
    for found in re.finditer(r'^msgid(?:_plural)? ' + LITERALS, text, re.MULTILINE):
        yield joined(found[1])


# --- Complaints -------------------------------------------------------------------------------------

def of_template(template):
    known = set(template_texts(template))
    seen = 0
    for path, text in sentences():
        seen += 1
        if text not in known:
            yield f'{path}: {text!r} is not in the template: is the file in po/POTFILES?'
    print(f'{seen} sentences in the sources, {len(known) - 1} texts in the template')
    if seen < len(known) / 2:
        yield f'only {seen} sentences found in the sources: this program looks in the wrong places'


def of_catalogue(name, template, work):
    own = f'po/{name}.po'
    checked = run('msgfmt', '--check', '--statistics', '--output-file=/dev/null', own)
    if checked.returncode != 0 or 'warning' in checked.stderr:
        yield f'{name}: ' + checked.stderr
    if count(checked.stderr, 'fuzzy'):
        yield f'{name}: {count(checked.stderr, "fuzzy")} entries are marked fuzzy: nobody has read them'
    # With the sentences as they are today.
    merged = f'{work}/{name}.po'
    run('msgmerge', '--quiet', '--no-fuzzy-matching', f'--output-file={merged}', own, str(template))
    done = run('msgfmt', '--check', '--statistics', '--output-file=/dev/null', merged)
    if done.returncode != 0:
        yield f'{name}, merged: ' + done.stderr
    missing = count(done.stderr, 'untranslated')
    print(f'{name}: {count(done.stderr, "translated")} translated, {missing} untranslated')
    if missing and MUST_BE_COMPLETE:
        yield f'{name}: {missing} messages are not translated; docs/translating.md tells how to see which'


def complaints():
    listed = {word for line in (PO / 'LINGUAS').read_text().splitlines() for word in line.split('#')[0].split()}
    present = {path.stem for path in PO.glob('*.po')}
    for name in listed ^ present:
        yield f'{name}: in po/LINGUAS and as a file, or in neither'
    with tempfile.TemporaryDirectory() as work:
        template, said = make_template(BUILD, work)
        if template is None or 'warning' in said:
            yield 'porthole-pot: ' + said
            return
        yield from of_template(template)
        for name in sorted(present):
            yield from of_catalogue(name, template, work)


found = list(complaints())
print('\n'.join(found))
sys.exit(1 if found else 0)
