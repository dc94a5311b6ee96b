"""Honest plain ways to send the same digests: a first version, aiosmtplib, nodemailer, smtp-source."""

import asyncio
import base64
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Awaitable, Sequence
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import aiosmtplib
from sqlalchemy import update

from benchmarks.stage.relays import find_tool
from benchmarks.stage.turns import Times, of_children, timed
from service.database import Database
from service.mail.letters import DigestLetter
from service.mail.message import Parcel, Sender
from service.mail.sending import loop_factory
from service.mail.tables import DeliveryRow
from service.mail.templates import render

NODE_SCRIPT = Path(__file__).with_name("nodemailer.cjs")


def run(work: Awaitable[object], count: int) -> Times:
    """Run something asynchronous on the loop that Paperlark uses."""

    async def begin() -> object:
        return await work

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return timed(lambda: runner.run(begin()), count)


def email_message(letter: DigestLetter, sender: Sender) -> EmailMessage:
    """Make a message as one would first write it: render, and let the standard library do the rest."""
    said = render(letter, sender.imprint)
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"], message["Subject"] = sender.address, letter.recipient, said.subject
    message["List-Unsubscribe"] = f"<{letter.unsubscribe_url}>"
    message.set_content(said.text, cte="quoted-printable")
    message.add_alternative(said.html, subtype="html", cte="quoted-printable")
    return message


def naive(
    port: int, letters: Sequence[DigestLetter], *, sender: Sender, database: Database, lanes: int
) -> Times:
    """Render for each person, EmailMessage, a new connection of aiosmtplib and a commit for each mail."""
    one = update(DeliveryRow).values(attempt_count=1)

    async def lane(share: Sequence[tuple[int, DigestLetter]]) -> None:
        for number, letter in share:
            await aiosmtplib.send(
                email_message(letter, sender), hostname="127.0.0.1", port=port, start_tls=False
            )
            with database.engine.begin() as connection:
                connection.execute(one.where(DeliveryRow.id == number + 1))

    async def work() -> None:
        numbered = list(enumerate(letters))
        await asyncio.gather(*(lane(numbered[start::lanes]) for start in range(lanes)))

    return run(work(), len(letters))


def reused_connections(port: int, parcels: Sequence[Parcel], lanes: int) -> Times:
    """Send by aiosmtplib on as many connections, each used again and again."""

    async def lane(share: Sequence[Parcel]) -> None:
        async with aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False) as client:
            for parcel in share:
                await client.sendmail(parcel.envelope_sender, [parcel.recipient], parcel.data)

    async def work() -> None:
        await asyncio.gather(*(lane(parcels[start::lanes]) for start in range(lanes)))

    return run(work(), len(parcels))


def fresh_connections(port: int, parcels: Sequence[Parcel], lanes: int) -> Times:
    """Send by aiosmtplib with a new connection for each message, as many at a time."""

    async def lane(share: Sequence[Parcel]) -> None:
        for parcel in share:
            await aiosmtplib.send(
                parcel.data, sender=parcel.envelope_sender, recipients=[parcel.recipient],
                hostname="127.0.0.1", port=port, start_tls=False,
            )  # fmt: skip

    async def work() -> None:
        await asyncio.gather(*(lane(parcels[start::lanes]) for start in range(lanes)))

    return run(work(), len(parcels))


def smtp_source(port: int, size: int, count: int, lanes: int) -> Times | None:
    """Let Postfix's load generator send messages of ``size`` octets."""
    tool = find_tool("smtp-source")
    if tool is None:
        return None
    command = [tool, "-s", str(lanes), "-m", str(count), "-l", str(size), f"127.0.0.1:{port}"]
    return of_children(lambda: subprocess.run(command, check=True), count)


def nodemailer_is_here() -> bool:
    """Say whether Node.js and nodemailer can be used; NODEMAILER names the latter's folder."""
    node = shutil.which("node")
    if node is None:
        return False
    wanted = os.environ.get("NODEMAILER", "nodemailer")
    test = [node, "-e", f"require({json.dumps(wanted)})"]
    return subprocess.run(test, capture_output=True, check=False, cwd=NODE_SCRIPT.parent).returncode == 0


def nodemailer(
    port: int, messages: Sequence[tuple[Parcel, EmailMessage]], mode: str, count: int, lanes: int
) -> Times | None:
    """Send by nodemailer's pool, warm: ready-made bytes ("raw") or words that it composes ("compose")."""
    if not nodemailer_is_here():
        return None
    rows = []
    for parcel, message in messages:
        text, html = (part.get_content() for part in message.iter_parts())  # type: ignore[attr-defined]
        row = {"sender": parcel.envelope_sender, "recipient": parcel.recipient}
        row |= {"subject": message["Subject"], "unsubscribe": "https://digest.example.org/u"}
        if mode == "raw":
            row["raw"] = base64.b64encode(parcel.data).decode()
        else:
            row |= {"text": text, "html": html}
        rows.append(row)
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(rows, file)
        file.flush()
        command = ["node", str(NODE_SCRIPT), str(port), str(lanes), mode, file.name, str(count)]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return Times(**json.loads(said))
