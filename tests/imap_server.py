"""A small IMAP server on loopback for tests: one mailbox, TLS, the few commands a poller needs."""

import contextlib
import re
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

USER, PASSWORD = "bounces", "a secret with spaces"


@dataclass
class Box:
    """Messages by UID, each with its flags."""

    messages: dict[int, tuple[bytes, set[str]]] = field(default_factory=dict)
    fails_after_fetch: int | None = None  # hang up after so many fetches: a connection that is lost

    def add(self, raw: bytes) -> int:
        uid = len(self.messages) + 1
        self.messages[uid] = (raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"), set())
        return uid

    def flags(self) -> list[set[str]]:
        return [flags for _, flags in self.messages.values()]


class _Session(socketserver.StreamRequestHandler):
    box: Box

    def handle(self) -> None:
        with contextlib.suppress(OSError):  # a client that trusts us not, or is gone
            self._say(b"* OK ready")
            for line in self.rfile:
                tag, _, rest = line.decode().strip().partition(" ")
                if not self._obey(tag, rest):
                    return

    def finish(self) -> None:
        with contextlib.suppress(OSError):
            super().finish()

    def _say(self, line: bytes) -> None:
        self.wfile.write(line + b"\r\n")

    def _obey(self, tag: str, command: str) -> bool:
        word = command.upper()
        done = "OK done"
        if word.startswith("CAPABILITY"):
            self._say(b"* CAPABILITY IMAP4rev1")
        elif word.startswith("LOGIN"):
            done = "OK in" if command.endswith(f'{USER} "{PASSWORD}"') else "NO wrong"
        elif word.startswith("SELECT"):
            known = command.split(" ", 1)[1].strip('"') == "INBOX"
            done = "OK [READ-WRITE] selected" if known else "NO no such folder"
            self._say(f"* {len(self.box.messages)} EXISTS".encode())
        elif word.startswith("UID SEARCH"):
            unseen = [str(uid) for uid, (_, flags) in self.box.messages.items() if r"\Seen" not in flags]
            self._say(f"* SEARCH {' '.join(unseen)}".encode())
        elif word.startswith("UID FETCH"):
            if not self._fetch(int(command.split()[2]), command):
                return False
        elif word.startswith("UID STORE"):
            self.box.messages[int(command.split()[2])][1].update(re.findall(r"\\\w+", command))
        elif word.startswith("LOGOUT"):
            self._say(b"* BYE")
        else:
            done = "BAD what?"
        self._say(f"{tag} {done}".encode())
        return not word.startswith("LOGOUT")

    def _fetch(self, uid: int, command: str) -> bool:
        assert "BODY.PEEK[]" in command, "a fetch must leave the message unseen"
        if self.box.fails_after_fetch is not None:
            if self.box.fails_after_fetch == 0:
                self.request.shutdown(socket.SHUT_RDWR)
                return False
            self.box.fails_after_fetch -= 1
        raw = self.box.messages[uid][0]
        self._say(f"* {uid} FETCH (UID {uid} BODY[]<0> {{{len(raw)}}}".encode())
        self.wfile.write(raw)
        self._say(b")")
        return True


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    tls: ssl.SSLContext

    def get_request(self) -> tuple[socket.socket, Any]:
        plain, address = super().get_request()
        return self.tls.wrap_socket(plain, server_side=True, do_handshake_on_connect=False), address


@contextmanager
def running(box: Box, tls: ssl.SSLContext) -> Iterator[int]:
    """Serve ``box`` while the block lasts; gives the port."""
    server = _Server(("127.0.0.1", 0), type("Session", (_Session,), {"box": box}))
    server.tls = tls
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
