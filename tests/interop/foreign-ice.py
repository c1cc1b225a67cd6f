# SPDX-License-Identifier: GPL-3.0-or-later
"""The other end of test-ice-foreign, by aioice: foreign-ice.py controlling|controlled.

Says its ufrag, password and candidates and "end", a line each; reads the same; connects; returns the first
datagram that it gets; ends when its input does."""

import asyncio
import sys

import aioice

SECONDS = 20


async def main(role):
    loop = asyncio.get_running_loop()
    connection = aioice.Connection(ice_controlling=role == 'controlling', use_ipv6=False)
    await connection.gather_candidates()
    for line in (connection.local_username, connection.local_password,
                 *(candidate.to_sdp() for candidate in connection.local_candidates), 'end'):
        print(line, flush=True)
    lines = []
    while (line := (await loop.run_in_executor(None, sys.stdin.readline)).strip()) != 'end':
        lines.append(line)
    connection.remote_username, connection.remote_password = lines[:2]
    for line in lines[2:]:
        await connection.add_remote_candidate(aioice.Candidate.from_sdp(line.removeprefix('candidate:')))
    await connection.add_remote_candidate(None)
    await asyncio.wait_for(connection.connect(), SECONDS)
    await connection.send(await asyncio.wait_for(connection.recv(), SECONDS))
    await loop.run_in_executor(None, sys.stdin.readline)
    await connection.close()


asyncio.run(main(sys.argv[1]))
