# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for the source tree as a whole: layout, lists, words.

Each check is a function that yields complaints, one line each; suites.py runs them as tests of the
suite `unit`. Files are found on disk, not asked of git: a source archive is checked as well.
"""

import os
import re
import subprocess
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
SKIPPED_FOLDERS = {'.git', 'build', '__pycache__'}

CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


def sources(*suffixes, under=''):
    """Paths relative to the top, sorted; every file when no suffix is given."""
    found = []
    for folder, folders, names in os.walk(TOP / under):
        folders[:] = [name for name in folders if name not in SKIPPED_FOLDERS]
        for name in names:
            path = Path(folder, name)
            if path.is_file() and not path.is_symlink() and (not suffixes or path.suffix in suffixes):
                found.append(path.relative_to(TOP))
    return sorted(found)


def texts():
    """(path, text) of every text file that people wrote."""
    for path in sources():
        if 'corpus' in path.parts or path.name == 'LICENSE':
            continue
        try:
            yield path, (TOP / path).read_text(encoding='utf-8')
        except UnicodeDecodeError:
            continue


def is_shell(path):
    if path.suffix in ('.sh', '.bash'):
        return True
    with open(TOP / path, 'rb') as file:
        first = file.readline(64)
    return first.startswith(b'#!') and b'sh' in first.split(b'/')[-1]


@check
def clang_format():
    """C sources look as .clang-format says."""
    files = [str(path) for path in sources('.c', '.h')]
    done = subprocess.run(['clang-format', '--dry-run', '-Werror', '--ferror-limit=3', *files],
                          cwd=TOP, capture_output=True, text=True, check=False)
    for line in done.stderr.splitlines():
        if 'error:' in line:
            yield line
    if done.returncode != 0:
        yield 'put it right with: ./run shell clang-format -i FILE...'


@check
def layout():
    """Files are as .editorconfig says."""
    for path, text in texts():
        if text and not text.endswith('\n'):
            yield f'{path}: no newline at the end'
        for number, line in enumerate(text.split('\n'), 1):
            if line.endswith((' ', '\r')) and path.suffix != '.patch':
                yield f'{path}:{number}: space at the end of the line'
            if '\t' in line and path.suffix in ('.c', '.h', '.py', '.build', '.md'):
                yield f'{path}:{number}: a tab'


@check
def licence_lines():
    """Every source says under which licence it is."""
    for path in sources('.c', '.h', '.py'):
        if b'SPDX-License-Identifier: GPL-3.0-or-later' not in (TOP / path).read_bytes()[:200]:
            yield f'{path}: no SPDX line'


@check
def file_sizes():
    """No file of code grows over a thousand lines."""
    for path in sources('.c', '.h', '.py'):
        lines = (TOP / path).read_bytes().count(b'\n')
        if lines > 1000:
            yield f'{path}: {lines} lines; split it by concern'


@check
def words():
    """Nothing in the tree belongs to one person's machine, and nothing is left to do later."""
    patterns = [
        (re.compile(r'/(home|Users)/\w{2,}'), 'a path of one person'),
        (re.compile(r'\b(TO[D]O|FIXME|XXX|HACK)\b'), 'a note to oneself: file an issue'),
        (re.compile(r'\b(deb\.debian|pypi|files\.pythonhosted|registry\.npmjs)\.org\b'), 'a package host'),
        (re.compile(r'\b(the|this) (sandbox|container|VM)\b'), 'the machine it was written on'),
    ]
    if len(TOP.parts) > 2:
        patterns.append((re.compile(re.escape(str(TOP)) + r'\b'), 'the path of this checkout'))
    for path, text in texts():
        if path == Path('tests/checks.py'):
            continue
        for number, line in enumerate(text.split('\n'), 1):
            for pattern, why in patterns:
                found = pattern.search(line)
                if found:
                    yield f'{path}:{number}: "{found.group()}": {why}'


@check
def shell_syntax():
    for path in sources():
        if is_shell(path):
            done = subprocess.run(['bash', '-n', str(path)], cwd=TOP, capture_output=True, text=True,
                                  check=False)
            if done.returncode != 0:
                yield done.stderr.strip()


@check
def python_syntax():
    for path in sources('.py'):
        try:
            compile((TOP / path).read_bytes(), str(path), 'exec')
        except SyntaxError as error:
            yield f'{path}:{error.lineno}: {error.msg}'


TRANSLATED = re.compile(r'(?<![\w"])(_|N_|C_|NC_|ngettext|g_dngettext|g_dpgettext2?)\s*\(\s*"')
TRANSLATED_UI = re.compile(r'translatable="yes"')


@check
def potfiles():
    """po/POTFILES names exactly the files with translatable strings; the cores have none."""
    listed = [line.strip() for line in (TOP / 'po/POTFILES').read_text().splitlines()
              if line.strip() and not line.startswith('#')]
    for path in listed:
        if not (TOP / path).is_file():
            yield f'po/POTFILES names {path}, which is not there'
    if listed != sorted(listed):
        yield 'po/POTFILES is not in order'
    for path in sources('.c', '.ui', under='app') + sources('.c', under='net'):
        pattern = TRANSLATED if path.suffix == '.c' else TRANSLATED_UI
        has = pattern.search((TOP / path).read_text(encoding='utf-8')) is not None
        if has and path.parts[0] == 'net' and path.parts[1] != 'rendezvous':
            yield f'{path}: sentences for people belong in app/'
        elif has and str(path) not in listed:
            yield f'{path} has translatable strings and is not in po/POTFILES'
        elif not has and str(path) in listed:
            yield f'{path} is in po/POTFILES and has no translatable string'


@check
def meson_lists():
    """Every test and fuzz target on disk is built."""
    for folder, prefix in (('tests/unit', 'test-'), ('tests/interop', 'test-'), ('tests/sim', 'test-'), ('tests/fuzz', 'fuzz-')):
        meson = (TOP / folder / 'meson.build').read_text()
        for path in sources('.c', under=folder):
            name = path.stem.removeprefix(prefix)
            if path.stem.startswith(prefix) and f"'{name}'" not in meson and f"'{path.name}'" not in meson:
                yield f'{path} is not in {folder}/meson.build'
    for path in sources('.c', under='tests/fuzz'):
        if path.stem.startswith('fuzz-'):
            corpus = TOP / 'tests/fuzz/corpus' / path.stem.removeprefix('fuzz-')
            if not corpus.is_dir() or not any(corpus.iterdir()):
                yield f'{path} has no committed corpus'


@check
def threats_table():
    """Every test that docs/threats.md names exists."""
    text = (TOP / 'docs/threats.md').read_text(encoding='utf-8')
    code = [(TOP / path).read_text(encoding='utf-8') for folder in ('tests/unit', 'tests/sim')
            for path in sources('.c', under=folder)]

    def exists(name):
        """The whole name as a string, or its beginning up to some slash and the rest, in one file."""
        cuts = [at + 1 for at, letter in enumerate(name) if letter == '/' and at > 0]
        heads = [(name[:at], name[at:]) for at in cuts]
        return any(f'"{name}"' in each or any(f'"{head}"' in each and (rest == '*' or f'"{rest}"' in each)
                                              for head, rest in heads) for each in code)

    names = re.findall(r'`(/[a-z0-9-]+(?:/[a-z0-9*-]+)+)`', text)
    functions = re.findall(r'`(tests/[\w/-]+\.py):(\w+)`', text)
    if len(names) < 100 or not functions:
        yield 'docs/threats.md: no names were found in it'
    for name in names:
        if not exists(name):
            yield f'docs/threats.md: there is no test {name}'
    for path, name in functions:
        if not (TOP / path).is_file() or not re.search(rf'(^def {name}\b|^{name} =|\b{name}\b\')', (TOP / path).read_text(),
                                                       re.M):
            yield f'docs/threats.md: there is no {name} in {path}'
