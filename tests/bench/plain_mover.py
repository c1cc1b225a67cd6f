#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""One file over plain TCP: `send FILE ADDRESS PORT CONGESTION`, or `take FILE` from the connection on
standard input. The sender ends when the other side has everything."""

import os
import socket
import sys

PIECE = 1 << 20


def send(path, address, port, congestion):
    with socket.socket() as connection, open(path, 'rb') as file:
        connection.connect((address, int(port)))
        # Not before: the route's own choice takes its place when the connection is made.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, congestion.encode())
        connection.sendfile(file)
        connection.shutdown(socket.SHUT_WR)
        if connection.recv(1) != b'!':
            sys.exit('the other side has not got everything')


def take(path):
    connection = socket.socket(fileno=os.dup(0))
    with connection, open(path, 'wb') as file:
        while piece := connection.recv(PIECE):
            file.write(piece)
        connection.send(b'!')


{'send': send, 'take': take}[sys.argv[1]](*sys.argv[2:])
