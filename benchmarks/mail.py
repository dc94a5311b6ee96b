"""What a digest costs from letter to relay, against honest plain ways, all measured in the same run by turns.

    python -m benchmarks.mail [MESSAGES]

Messages are of ten papers and about 45 KB. The relay is Postfix's smtp-sink where it is installed, else
that of the tests, both on loopback. CPU is this process's alone. Only the ratios carry to other machines.
"""

import asyncio
import contextlib
import random
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import aiosmtplib
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from sqlalchemy.orm import Session

from service.config import SmtpEndpoint
from service.database import Base, Database
from service.keys import Keyring
from service.mail import outbox
from service.mail.assembly import AssemblyPress
from service.mail.composing import Claimed, Refusal
from service.mail.courier import RelayCourier
from service.mail.delivery import Verdict
from service.mail.dkim import Signer
from service.mail.letters import Card, DigestLetter, Letter
from service.mail.message import Parcel, Press, Sender
from service.mail.pool import Limits
from service.mail.sending import deliver_waiting, loop_factory
from service.mail.templates import render
from service.mail.transport import SmtpRelay

AT = datetime(2026, 2, 13, 8, tzinfo=UTC)
KEYRING = Keyring(["only-for-measuring-0123456789-abcdefghij"])
CONNECTIONS = 16
ROUNDS = 3
PLAIN_SHARE = 40  # the slow ways are measured with one message in so many
Times = tuple[float, float]  # seconds of the clock and of the processor, a message


def main() -> None:
    """Measure and print."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    letters = make_letters(count, random.Random(20260213))
    print(f"{count:,} messages; medians of {ROUNDS} turns; us of CPU a message")
    print("\nletter to bytes")
    by_turns(
        {
            "EmailMessage, quoted-printable": lambda: make_all(email_message, letters[:: PLAIN_SHARE * 2]),
            "plain way": lambda: make_all(press(Press), letters[:: PLAIN_SHARE * 2]),
            "joined, unsigned": lambda: make_all(press(AssemblyPress), letters),
            "joined, Ed25519": lambda: make_all(
                press(AssemblyPress, ed25519.Ed25519PrivateKey.generate()), letters
            ),
            "joined, RSA-2048": lambda: make_all(press(AssemblyPress, rsa_key()), letters[::4]),
        },
        baseline="plain way",
    )
    parcels = [press(AssemblyPress)(letter) for letter in letters]
    size = statistics.mean(len(parcel.data) for parcel in parcels)
    with relay() as (name, port):
        print(f"\nready bytes of {size / 1000:,.0f} KB to {name}, {CONNECTIONS} connections")
        by_turns(
            {
                "aiosmtplib, a connection each": lambda: run(fresh_connections(port, parcels[::10])),
                "aiosmtplib, reused": lambda: run(reused_connections(port, parcels)),
                "ours": lambda: run(our_relay(port, parcels)),
            },
            baseline="aiosmtplib, reused",
        )
        print("\nletter to recorded delivery: joined, sent, written down in SQLite")
        by_turns(
            {
                "unsigned": lambda: whole_way(port, letters, press_of(AssemblyPress)),
                "Ed25519": lambda: whole_way(
                    port, letters, press_of(AssemblyPress, ed25519.Ed25519PrivateKey.generate())
                ),
                "RSA-2048": lambda: whole_way(port, letters[::2], press_of(AssemblyPress, rsa_key())),
            },
            baseline="unsigned",
        )
    print(f"\nmemory at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB")


def by_turns(ways: Mapping[str, Callable[[], Times]], *, baseline: str) -> dict[str, Times]:
    """Measure all ways in turn, several times over; print medians and ratios to the baseline."""
    seen: dict[str, list[Times]] = {name: [] for name in ways}
    for way in ways.values():  # what is made once is made
        way()
    for _ in range(ROUNDS):
        for name, way in ways.items():
            seen[name].append(way())
    medians = {
        name: (statistics.median(wall for wall, _ in times), statistics.median(cpu for _, cpu in times))
        for name, times in seen.items()
    }
    base = medians[baseline][0]
    for name, (wall, cpu) in medians.items():
        print(f"  {name:<32}{1 / wall:>10,.0f}/s {1e6 * cpu:>10,.0f} us {base / wall:>10,.2f} x")
    return medians


def timed(work: Callable[[], object], count: int) -> Times:
    """Return what ``work`` on ``count`` messages takes of clock and processor, a message."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return (time.perf_counter() - wall) / count, (time.process_time() - cpu) / count


# -- making ------------------------------------------------------------------------------------------------


def make_all(make: Callable[[DigestLetter], object], letters: Sequence[DigestLetter]) -> Times:
    """Make every letter."""
    return timed(lambda: [make(letter) for letter in letters], len(letters))


_PRESSES: dict[tuple[type[Press], str], Press] = {}


def press_of(kind: type[Press], key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey | None = None) -> Press:
    """Return the press of a kind, the same one each time."""
    signers = (Signer("news.example.org", "lark", key),) if key else ()
    return _PRESSES.setdefault((kind, type(key).__name__), kind(a_sender(signers), KEYRING))


def press(
    kind: type[Press], key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey | None = None
) -> Callable[[DigestLetter], Parcel]:
    """Return what makes a parcel of a letter."""
    made = press_of(kind, key)
    return lambda letter: made.make(letter, nonce=abs(hash(letter.recipient)) % 2**62, at=AT)


def rsa_key() -> rsa.RSAPrivateKey:
    """Make a key as most senders have one."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def email_message(letter: DigestLetter) -> bytes:
    """Make a message as one would first write it: render, and let the standard library do the rest."""
    said = render(letter, a_sender().imprint)
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"], message["Subject"] = (
        "digest@news.example.org",
        letter.recipient,
        said.subject,
    )
    message["List-Unsubscribe"] = f"<{letter.unsubscribe_url}>"
    message.set_content(said.text, cte="quoted-printable")
    message.add_alternative(said.html, subtype="html", cte="quoted-printable")
    return message.as_bytes()


# -- sending -----------------------------------------------------------------------------------------------


def run(work: tuple[Awaitable[object], int]) -> Times:
    """Run something asynchronous on the loop that Paperlark uses."""

    async def begin() -> object:
        return await work[0]

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return timed(lambda: runner.run(begin()), work[1])


def our_relay(port: int, parcels: Sequence[Parcel]) -> tuple[Awaitable[object], int]:
    """Send by Paperlark's own relay."""

    async def work() -> None:
        relay = SmtpRelay(
            endpoint(port), helo_name="bench.example.org", limits=Limits(connections=CONNECTIONS)
        )
        outcomes = await asyncio.gather(*(relay.deliver(parcel) for parcel in parcels))
        await relay.close()
        assert {outcome.verdict for outcome in outcomes} == {Verdict.SENT}

    return work(), len(parcels)


def reused_connections(port: int, parcels: Sequence[Parcel]) -> tuple[Awaitable[object], int]:
    """Send by aiosmtplib on as many connections, each used again and again."""

    async def lane(share: Sequence[Parcel]) -> None:
        async with aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False) as client:
            for parcel in share:
                await client.sendmail(parcel.envelope_sender, [parcel.recipient], parcel.data)

    async def work() -> None:
        await asyncio.gather(*(lane(parcels[start::CONNECTIONS]) for start in range(CONNECTIONS)))

    return work(), len(parcels)


def fresh_connections(port: int, parcels: Sequence[Parcel]) -> tuple[Awaitable[object], int]:
    """Send by aiosmtplib with a new connection for each message, as many at a time."""

    async def lane(share: Sequence[Parcel]) -> None:
        for parcel in share:
            await aiosmtplib.send(
                parcel.data, sender=parcel.envelope_sender, recipients=[parcel.recipient],
                hostname="127.0.0.1", port=port, start_tls=False,
            )  # fmt: skip

    async def work() -> None:
        await asyncio.gather(*(lane(parcels[start::CONNECTIONS]) for start in range(CONNECTIONS)))

    return work(), len(parcels)


class Reciter:
    """Composes nothing: the letters are ready."""

    def __init__(self, letters: Sequence[DigestLetter]) -> None:
        self.letters = letters

    def compose(
        self,
        session: Session,  # noqa: ARG002 - as a composer is asked
        deliveries: Sequence[Claimed],
        now: datetime,  # noqa: ARG002
    ) -> Mapping[int, Letter | Refusal]:
        return {delivery.id: self.letters[delivery.subscriber_id or 0] for delivery in deliveries}


def whole_way(port: int, letters: Sequence[DigestLetter], made_by: Press) -> Times:
    """Queue, then measure: claim, join, commit, send, record."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/bench.db")
        Base.metadata.create_all(database.engine)
        row = {"kind": "digest", "queue": outbox.BULK, "now": AT, "expires_at": AT + timedelta(days=1)}
        with database.transaction() as session:
            outbox.queue_many(
                session, [row | {"subscriber_id": n, "digest_id": n} for n in range(len(letters))]
            )
        courier = RelayCourier(
            press=made_by,
            relay=SmtpRelay(
                endpoint(port), helo_name="bench.example.org", limits=Limits(connections=CONNECTIONS)
            ),
        )
        tallies = []
        times = timed(
            lambda: tallies.append(
                deliver_waiting(
                    database, composers={"digest": Reciter(letters)}, courier=courier, clock=lambda: AT,
                    queue=outbox.BULK, worker="bench",
                )
            ),
            len(letters),
        )  # fmt: skip
        database.close()
    assert tallies[0].sent == len(letters)
    return times


@contextlib.contextmanager
def relay() -> Iterator[tuple[str, int]]:
    """Run a relay that takes everything and keeps nothing; gives its name and port."""
    sink = shutil.which("smtp-sink") or shutil.which("smtp-sink", path="/usr/sbin")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.NamedTemporaryFile() as log:
        command = (
            [sink, "-u", "nobody", f"127.0.0.1:{port}", "512"]
            if sink
            else [sys.executable, "-m", "tests.sink", "--log", log.name, "--port", str(port)]
        )
        process = subprocess.Popen(
            command, cwd=Path(__file__).parents[1], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            wait_for(port)
            yield "smtp-sink" if sink else "the tests' sink", port
        finally:
            process.kill()
            process.wait()


def wait_for(port: int) -> None:
    """Wait until somebody listens."""
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise TimeoutError("the relay did not start")


# -- samples -----------------------------------------------------------------------------------------------


def endpoint(port: int) -> SmtpEndpoint:
    """Return the relay's place."""
    return SmtpEndpoint(f"smtp://127.0.0.1:{port}?starttls=never")


def a_sender(signers: tuple[Signer, ...] = ()) -> Sender:
    """Return a sender with everything set."""
    return Sender(
        name="Paperlark",
        address="digest@news.example.org",
        contact="hello@example.org",
        postal_address="Paperlark, 1 Lark Lane, 1000 Testville",
        envelope_domain="bounces.example.org",
        list_id="digest.news.example.org",
        home_url="https://digest.example.org",
        signers=signers,
    )


def make_letters(count: int, chance: random.Random) -> list[DigestLetter]:
    """Make an issue: five papers that all get, five of sixty of one's own, three interests."""
    words = ["".join(chance.choices("aeioubdfgklmnprst", k=chance.randint(2, 10))) for _ in range(800)]
    papers = [make_card(number, words, chance) for number in range(65)]
    topics = [" ".join(chance.choices(words, k=2)).capitalize() for _ in range(45)]
    return [
        DigestLetter(
            recipient=f"reader{number}@example.org",
            issue_date=date(2026, 2, 13),
            trending=tuple(papers[:5]),
            for_you=tuple(chance.sample(papers[5:], 5)),
            interests=tuple(chance.sample(topics, 3)),
            list_url=f"https://digest.example.org/list/{number:034}",
            preferences_url=f"https://digest.example.org/preferences?token={number:034}",
            unsubscribe_url=f"https://digest.example.org/unsubscribe?token={number:034}",
        )
        for number in range(count)
    ]


def make_card(number: int, words: Sequence[str], chance: random.Random) -> Card:
    """Make a paper of the usual lengths."""
    return Card(
        paper_id=f"2602.{number:05}",
        title=" ".join(chance.choices(words, k=10)).capitalize(),
        url=f"https://arxiv.org/abs/2602.{number:05}",
        authors=("Ada Byron", "Émile Post", "周杰"),
        author_count=7,
        abstract=". ".join(" ".join(chance.choices(words, k=18)).capitalize() for _ in range(9)) + ".",
        summary=" ".join(chance.choices(words, k=14)).capitalize() + ".",
        listed_on=date(2026, 2, 12),
        upvotes=chance.randint(0, 300),
        comments=chance.randint(0, 9),
        stars=chance.randint(0, 4000),
        repository_url=f"https://github.com/example/code-{number}",
        reasons=(f"Matches “{words[number]}”: {words[number + 1]}, {words[number + 2]}",),
    )


if __name__ == "__main__":
    main()
