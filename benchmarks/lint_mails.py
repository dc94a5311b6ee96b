"""Looks at every mail we send as mailboxes and mail programs do: spam score, HTML, what clients can show.

    python -m benchmarks.lint_mails [--keep FOLDER]

SpamAssassin with its local rules (Debian's package) must give at most 0.5 points; html-validate and caniemail
(npm; PAPERLARK_LINT_MODULES names their node_modules) must find nothing that is not on the lists below, each
entry with its reason. What is not installed is said and left out.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default
from pathlib import Path

from service.keys import Keyring
from service.mail.assembly import AssemblyPress
from service.mail.letters import DigestLetter, Letter
from tests.unit.mail.letter_samples import a_digest, a_sender, every_letter

MOST_POINTS = 0.5
AT = datetime.now(UTC)

# Rules of html-validate that a mail breaks on purpose: it is written for programs older than the standard.
HTML_ALLOWED = {
    "no-deprecated-attr": "align, width and cellpadding are what Outlook for Windows lays tables out by",
    "no-inline-style": "many programs drop or ignore the style element; the styles stand in each tag as well",
    "no-conditional-comment": "Outlook for Windows needs a fixed width that others must not see",
    "prefer-tbody": "mail programs add it themselves; it would cost bytes of Gmail's 102 KB",
    "prefer-native-element": "role=article on a div is what programs keep; they drop the article element",
}
# Features of caniemail that some client lacks, each doing no harm where it is missing.
CLIENTS = ["gmail.*", "apple-mail.*", "outlook.*", "yahoo.*", "thunderbird.*", "protonmail.*"]
CLIENT_ALLOWED = {
    "@media": "narrow and dark screens get more; without it the mail is as in daylight on a desk",
    "border-radius": "corners are square there",
    "<style> element": "the styles stand in each tag as well",
    "word-break": "long addresses may stand out of the column there",
    "role attribute": "the screen reader reads tables as tables",
    "aria-label attribute": "the heading says the same",
    "<body> element": "they put the mail into a div of their own; what body sets stands further in too",
    "transform": "said of text-transform: labels are in small letters there",
    "height property": "said of line-height and of the space between tables; nothing depends on it",
    "text-decoration": "links may be underlined in another way there",
}


@dataclass(frozen=True, slots=True)
class Mail:
    """One kind of mail as it leaves."""

    name: str
    raw: bytes

    @property
    def html(self) -> str:
        """The HTML part."""
        part = message_from_bytes(self.raw, policy=default).get_body(("html",))
        assert part is not None
        return str(part.get_content())


def mails() -> Iterator[Mail]:
    """Give every kind of mail, digests of several sizes too."""
    press = AssemblyPress(a_sender(), Keyring(["a-secret-for-lint-only-0123456789-abcdef"]))
    letters: dict[str, Letter] = {}
    for letter in every_letter():
        action = getattr(letter, "action", None)
        letters[f"{letter.kind} {action}" if action else letter.kind] = letter
    leave = "leave+abcdefghijklmnopqrstuvwx@bounces.example.org"
    letters |= {
        "digest, one paper": a_digest(1, 0),
        "digest, twenty": a_digest(10, 10, is_first=True, notice="arXiv did not answer today."),
        "digest, mailto": replace(a_digest(), unsubscribe_address=leave),
    }
    for number, (name, letter) in enumerate(letters.items()):
        addressed = replace(letter, recipient="reader@lark-lint.net")
        parcel = press.make(addressed, nonce=2**40 + number, at=AT)
        assert isinstance(letter, DigestLetter) == (b"List-Unsubscribe:" in parcel.data)
        yield Mail(name, _received(parcel.data, parcel.envelope_sender))


def _received(data: bytes, sender: str) -> bytes:
    """Put on top what a mailbox's own server would: without it the rules miss how the mail came."""
    top = (
        f"Return-Path: <{sender}>\r\n"
        "Received: from mail.news.example.org (mail.news.example.org [IPv6:2001:db8::7])\r\n"
        "\tby mx.lark-lint.net with ESMTPS id 1; " + AT.strftime("%a, %d %b %Y %H:%M:%S +0000") + "\r\n"
    )
    return top.encode() + data


# -- SpamAssassin ------------------------------------------------------------------------------------


def spam_points(mail: Mail, folder: Path) -> tuple[float, str]:
    """Return the points of SpamAssassin's local rules and their names."""
    home = folder / "spamassassin"
    command = ["spamassassin", "-L", "-t", f"--siteconfigpath={_site(folder)}", "-x", "-p", str(home)]
    home.touch()
    answer = subprocess.run(command, input=mail.raw, capture_output=True, check=True, env=_home(folder))
    head = message_from_bytes(answer.stdout)
    status = " ".join(str(head["X-Spam-Status"]).split())
    found = re.search(r"score=(-?[\d.]+)", status)
    tests = re.search(r"tests=(.*?) (?:autolearn|version)", status)
    if found is None:
        raise RuntimeError(f"SpamAssassin said nothing: {answer.stderr.decode()[-300:]}")
    return float(found[1]), tests[1].replace(" ", "") if tests else ""


def _site(folder: Path) -> Path:
    """Make a site configuration of our own: the machine's may change the points."""
    site = folder / "site"
    site.mkdir(exist_ok=True)
    for plugins in Path("/etc/spamassassin").glob("*.pre"):
        shutil.copy(plugins, site)
    return site


def _home(folder: Path) -> dict[str, str]:
    return {**os.environ, "HOME": str(folder), "LC_ALL": "C.UTF-8"}


# -- html-validate and caniemail ---------------------------------------------------------------------

VALIDATE = """
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
const require = createRequire(process.argv[1]);
const { HtmlValidate } = require("html-validate");
const rules = JSON.parse(process.argv[3]);
const linter = new HtmlValidate({ extends: ["html-validate:recommended"], rules });
const report = await linter.validateString(readFileSync(process.argv[2], "utf8"));
const messages = report.results.flatMap((result) => result.messages);
const said = messages.map((m) => `${m.ruleId} (line ${m.line}): ${m.message}`);
console.log(JSON.stringify(said));
"""
CLIENTS_CAN = """
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
const { caniemail } = await import(pathToFileURL(process.argv[3]).href);
const html = readFileSync(process.argv[2], "utf8");
const found = caniemail({ clients: JSON.parse(process.argv[4]), html });
const said = [];
for (const [client, issues] of found.issues.errors)
  for (const issue of issues) said.push([client, issue.title]);
console.log(JSON.stringify(said));
"""


def _node(folder: Path, script: str, *arguments: str) -> list[object]:
    path = folder / "look.mjs"
    path.write_text(script)
    answer = subprocess.run(["node", str(path), *arguments], capture_output=True, text=True, check=False)
    if answer.returncode:
        raise RuntimeError(answer.stderr[-600:])
    found: list[object] = json.loads(answer.stdout)
    return found


def html_complaints(mail: Mail, folder: Path, modules: Path) -> list[str]:
    """Return what html-validate finds beside what is allowed."""
    page = folder / "mail.html"
    page.write_text(mail.html)
    script = VALIDATE.replace("process.argv[1]", json.dumps(str(modules / "x.js")))
    rules = json.dumps(dict.fromkeys(HTML_ALLOWED, "off"))
    return [str(one) for one in _node(folder, script, str(page), rules)]


def client_complaints(mail: Mail, folder: Path, modules: Path) -> list[str]:
    """Return the features that a client lacks beside what is allowed, each with the clients."""
    page = folder / "mail.html"
    page.write_text(mail.html)
    library = modules / "caniemail" / "dist" / "index.js"
    lacking: dict[str, set[str]] = {}
    for client, title in _node(folder, CLIENTS_CAN, str(page), str(library), json.dumps(CLIENTS)):  # type: ignore[misc]
        lacking.setdefault(title, set()).add(client)
    return [
        f"{title}: {', '.join(sorted(clients))}"
        for title, clients in lacking.items()
        if title not in CLIENT_ALLOWED
    ]


# -- all of it ---------------------------------------------------------------------------------------


def _modules() -> Path | None:
    given = os.environ.get("PAPERLARK_LINT_MODULES")
    places = [Path(given)] if given else [Path("node_modules")]
    return next((place.resolve() for place in places if (place / "html-validate").is_dir()), None)


def main() -> int:
    """Look at every mail; return 1 if one falls through."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--keep", type=Path, help="folder for the mails, to look at them")
    keep = parser.parse_args().keep
    has_spamassassin = shutil.which("spamassassin") is not None
    modules = _modules() if shutil.which("node") else None
    if not has_spamassassin:
        print("skipped: SpamAssassin is not installed (apt-get install spamassassin)")
    if modules is None:
        print("skipped: html-validate and caniemail are not installed (npm install html-validate caniemail,")
        print("         then PAPERLARK_LINT_MODULES=…/node_modules)")
    fallen = 0
    with tempfile.TemporaryDirectory() as name:
        for mail in mails():
            fallen += _look(mail, Path(name), has_spamassassin, modules)
            if keep is not None:
                keep.mkdir(parents=True, exist_ok=True)
                (keep / f"{mail.name.replace(', ', '-').replace(' ', '-')}.eml").write_bytes(mail.raw)
    print(f"{fallen} mail(s) fall through" if fallen else "every mail passes what was looked at")
    return 1 if fallen else 0


def _look(mail: Mail, folder: Path, has_spamassassin: bool, modules: Path | None) -> bool:
    said = [f"{mail.name:<20}", f"{len(mail.html.encode()):>6} bytes of HTML"]
    wrong: list[str] = []
    if has_spamassassin:
        points, rules = spam_points(mail, folder)
        said.append(f"{points:+.1f} points ({rules})")
        wrong += [f"SpamAssassin: {rules}"] if points > MOST_POINTS else []
    if modules is not None:
        wrong += html_complaints(mail, folder, modules)
        if (modules / "caniemail").is_dir():
            wrong += client_complaints(mail, folder, modules)
    print("  ".join(said))
    for line in wrong:
        print(f"    {line}")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
