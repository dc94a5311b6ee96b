"""The relays of the other tests leave nothing behind: a socket of theirs would pass for one of ours."""

import contextlib
import gc
import socket

from tests.relays import scripted_relay


def test_a_relay_that_ends_leaves_no_client_behind() -> None:
    for _ in range(40):
        with scripted_relay() as server:  # and ends while they are let in
            clients = [socket.create_connection(("127.0.0.1", server.port), timeout=10) for _ in range(3)]
        for client in clients:
            with client, contextlib.suppress(ConnectionError):
                while client.recv(4096):
                    pass
    gc.collect()  # warnings are errors
