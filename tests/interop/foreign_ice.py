# SPDX-License-Identifier: GPL-3.0-or-later
"""One end of an ICE connection by aioice, which we did not write: foreign_ice.py STUN_ADDRESS controlling|controlled.

Prints its description as one line of JSON, reads the other's from standard input, connects, exchanges a
word and prints what it got and between which candidates."""

import asyncio
import json
import sys

import aioice

SECONDS = 15


async def main(stun, role):
    connection = aioice.Connection(ice_controlling=role == 'controlling', stun_server=(stun, 3478), use_ipv6=False)
    await connection.gather_candidates()
    print(json.dumps({'user': connection.local_username, 'password': connection.local_password,
                      'candidates': [candidate.to_sdp() for candidate in connection.local_candidates]}), flush=True)
    other = json.loads(await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline))
    for candidate in other['candidates']:
        await connection.add_remote_candidate(aioice.Candidate.from_sdp(candidate))
    await connection.add_remote_candidate(None)
    connection.remote_username, connection.remote_password = other['user'], other['password']
    try:
        await asyncio.wait_for(connection.connect(), SECONDS)
    except (ConnectionError, TimeoutError):
        print(json.dumps({'connected': False}), flush=True)
        return
    await connection.send(role.encode())
    got = await asyncio.wait_for(connection.recv(), SECONDS)
    print(json.dumps({'connected': True, 'got': got.decode()}), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    await connection.close()


asyncio.run(main(*sys.argv[1:3]))
