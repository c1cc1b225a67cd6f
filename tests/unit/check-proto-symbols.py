#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The protocol cores do no I/O, read no clock, draw no randomness and start no threads; and nothing that
deals with what arrives can run a program or open a file with one.

usage: check-proto-symbols.py libporthole-proto.a libporthole-net.a libporthole-engine.a

Lists what the cores' archive leaves undefined and fails on anything of the kind. The drivers' archive
is what such symbols look like: if the check finds none there, the check itself is broken."""

import re
import subprocess
import sys

FORBIDDEN = re.compile(
    r"""^(
    (clock_)?gettime(ofday)? | clock_gettime | clock | time | timespec_get | ftime
  | g_get_(monotonic|real|current)_time | g_date_time_new_now.*
  | nanosleep | clock_nanosleep | u?sleep | g_usleep
  | g_random_.* | g_rand_.* | rand(_r)? | s?random(_r)? | [dlm]rand48 | arc4random.*
  | getrandom | getentropy | gnutls_rnd | randombytes_.*
  | socket(pair)? | bind | connect | listen | accept4? | (get|set)sockopt
  | send(to|msg|mmsg|file64|file)? | recv(from|msg|mmsg)? | poll | ppoll | select | epoll_.*
  | getaddrinfo | gethostby.* | getifaddrs
  | g_(socket|resolver|network|file_(new|get_contents|set_contents)|unix|spawn|subprocess|main_context).*
  | g_(idle|timeout|source)_.* | soup_.* | g_task_.*
  | (f|fd)?open(at)?(64)? | creat(64)? | p?read(v|64)? | p?write(v|64)? | mmap(64)? | unlink | rename
  | fork | execv.* | system | popen
  | pthread_create | g_thread_(try_)?new | g_thread_pool_.*
    )$""",
    re.VERBOSE)

RUNS = re.compile(
    r"""^(
    v?fork | exec(l|le|lp|v|ve|vp|vpe|veat) | fexecve | posix_spawnp? | system | popen | dlopen
  | g_(spawn|subprocess|app_info|desktop_app_info|module)_.* | gtk_(file|uri)_launcher_.* | gtk_show_uri.*
    )$""",
    re.VERBOSE)


def undefined(archive):
    """Pairs of object and symbol."""
    text = subprocess.run(["nm", "--undefined-only", "--print-file-name", archive],
                          check=True, capture_output=True, text=True).stdout
    for line in text.splitlines():
        where, _, rest = line.rpartition(": ")
        parts = rest.split()
        # "archive:object: U symbol@VERSION"
        if len(parts) >= 2:
            yield where.rsplit(":", 1)[-1].strip(), parts[-1].split("@")[0]
        elif parts:
            yield where, parts[-1].split("@")[0]


def offences(archive):
    return sorted({(obj, sym) for obj, sym in undefined(archive) if FORBIDDEN.match(sym)})


def main():
    proto, net, engine = sys.argv[1:]
    found = {sym for _, sym in offences(net)}
    for needed in ("clock_gettime", "socket", "sendmsg", "recvmmsg", "randombytes_buf"):
        if needed not in found:
            sys.exit(f"{needed} was not found in {net}: this check does not work")
    if not list(undefined(proto)):
        sys.exit(f"nothing is undefined in {proto}: this check does not work")
    bad = offences(proto)
    for obj, sym in bad:
        print(f"{obj}: uses {sym}, which belongs in net/io")
    if "fsync" not in {sym for _, sym in undefined(engine)}:
        sys.exit(f"fsync was not found in {engine}: this check does not work")
    runs = sorted({pair for archive in (proto, net, engine) for pair in undefined(archive) if RUNS.match(pair[1])})
    for obj, sym in runs:
        print(f"{obj}: uses {sym}: what arrives is never run or opened here")
    return 1 if bad or runs else 0


sys.exit(main())
