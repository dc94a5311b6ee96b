"""A relay far away: every answer comes so many seconds after what it answers. Run with port and seconds."""

import asyncio
import sys


class Session(asyncio.Protocol):
    """Takes everything; what came together is answered together."""

    def __init__(self, delay: float) -> None:
        """Take the delay in seconds."""
        self._delay = delay
        self._loop = asyncio.get_running_loop()
        self._unread = b""
        self._in_message = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        self._transport = transport
        self._later(b"220 far.localhost ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        """Read commands and messages."""
        self._unread += data
        answers = b""
        while (end := self._unread.find(b"\r\n.\r\n" if self._in_message else b"\r\n")) >= 0:
            if self._in_message:
                self._unread = self._unread[end + 5 :]
                self._in_message = False
                answers += b"250 2.0.0 Ok\r\n"
            else:
                line, self._unread = self._unread[:end], self._unread[end + 2 :]
                answers += self._answer(line[:4].upper())
        if answers:
            self._later(answers)

    def _answer(self, verb: bytes) -> bytes:
        if verb == b"DATA":
            self._in_message = True
            return b"354 go on\r\n"
        if verb == b"EHLO":
            return b"250-far.localhost\r\n250-PIPELINING\r\n250 SIZE 52428800\r\n"
        return b"221 bye\r\n" if verb == b"QUIT" else b"250 2.1.0 Ok\r\n"

    def _later(self, data: bytes) -> None:
        self._loop.call_later(self._delay, self._say, data)

    def _say(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)  # type: ignore[attr-defined]
            if data.startswith(b"221"):
                self._transport.close()


async def main() -> None:
    """Listen on loopback for ever."""
    port, delay = int(sys.argv[1]), float(sys.argv[2])
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Session(delay), "127.0.0.1", port, backlog=512)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
