"""The pages in a real browser: layout, keyboard, no script needed, contrast, nothing from elsewhere."""

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvicorn
from playwright.sync_api import Browser, BrowserContext, Page, Request, sync_playwright

from service.clock import SettableClock
from service.config import Settings
from service.database import Database
from service.mailbox.store import MailboxStore
from service.subscribers import answers
from service.subscribers.libraries import keeping
from service.subscribers.libraries.reading import read_library
from service.subscribers.links import list_token, preferences_token, unsubscribe_token
from tests.web.conftest import ADDRESS, Visitor, add_paper, make_visitor

CHROMIUM = Path("/usr/bin/chromium")
SWITCHES = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
]

BIBTEX = "@article{a, title={Larks at dawn}, abstract={Larks sing at dawn.}}\n@article{b, title=}"

pytestmark = [
    pytest.mark.chromium,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="NO CHROMIUM HERE: the browser tests did not run"),
]

# Relative luminance and contrast as WCAG 2.2 defines them, for every visible text of the page.
FAINT_TEXTS = """
() => {
  const parse = c => (c.match(/[\\d.]+/g) || []).map(Number);
  const channel = v => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const luminance = ([r, g, b]) => .2126 * channel(r) + .7152 * channel(g) + .0722 * channel(b);
  const ground = node => {
    for (let n = node; n; n = n.parentElement) {
      const c = parse(getComputedStyle(n).backgroundColor);
      if (c.length && (c[3] === undefined || c[3] === 1)) return c;
    }
    return [255, 255, 255];
  };
  const faint = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !node.checkVisibility() || node.closest("option")) continue;
    const style = getComputedStyle(node);
    const [a, b] = [luminance(parse(style.color)), luminance(ground(node))].sort((x, y) => y - x);
    const large = parseFloat(style.fontSize) >= 24;
    if ((a + .05) / (b + .05) < (large ? 3 : 4.5))
      faint.push(`${walker.currentNode.textContent.trim()}: ${((a + .05) / (b + .05)).toFixed(2)}`);
  }
  return faint;
}
"""
SMALL_TARGETS = """
() => [...document.querySelectorAll("a, button, input:not([type=hidden]), select, summary")]
  .filter(n => n.checkVisibility() && !n.closest("p, dd, .unseen, h2, h3") && !n.matches(".skip"))
  .map(n => [n, n.getBoundingClientRect()])
  .filter(([n, r]) => r.width < 24 || r.height < 24)
  .map(([n, r]) => `${n.outerHTML.slice(0, 80)} ${r.width}x${r.height}`)
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=str(CHROMIUM), args=SWITCHES)
        yield launched
        launched.close()


@pytest.fixture
def site(sqlite_database: Database, settings: Settings, clock: SettableClock) -> Iterator[Visitor]:
    """The site behind a real server; its base_url is where the browser finds it."""
    listening = socket.create_server(("127.0.0.1", 0))
    address = f"http://127.0.0.1:{listening.getsockname()[1]}"
    store = MailboxStore(settings.data_dir / "mailbox")
    visitor = make_visitor(
        sqlite_database, settings.model_copy(update={"base_url": address}), clock, mailbox=store
    )
    visitor.base_url = address  # type: ignore[assignment]
    for number in range(12):
        add_paper(
            sqlite_database,
            f"2602.000{number:02}",
            title=f"Paper {number}: a title with aVeryLongWordThatMustNotPushThePageWideOnAnyPhone",
            abstract="A sentence of the abstract that goes on for a while. " * 30,
        )
    config = uvicorn.Config(visitor.app, log_config=None, access_log=False, proxy_headers=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    yield visitor
    server.should_exit = True
    thread.join(10)
    listening.close()


Open = Callable[..., Page]


@pytest.fixture
def open_page(browser: Browser, site: Visitor) -> Iterator[Open]:
    """Open pages; anything asked of another host, and any complaint of the console, fails the test."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def went_out(request: Request) -> None:
        # What the policy of the page stopped did not go out.
        if not request.url.startswith(str(site.base_url)) and request.failure != "csp":
            complaints.append(f"asked {request.url}")

    def open_(path: str, *, allow: int = 200, quiet: bool = True, **options: object) -> Page:
        context = browser.new_context(**{"viewport": {"width": 390, "height": 844}, **options})  # type: ignore[arg-type]
        contexts.append(context)
        page = context.new_page()
        page.on("requestfinished", went_out)
        page.on("requestfailed", went_out)
        if quiet and allow == 200:  # the console calls a 404, and what a sandbox stops, an error
            page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
        answer = page.goto(f"{site.base_url}{path}")
        assert answer
        assert answer.status == allow
        return page

    yield open_
    for context in contexts:
        context.close()
    assert complaints == []


def paths_of(site: Visitor) -> list[tuple[str, int]]:
    row = site.join(about="larks singing together at dawn, not vision, by Ada Lovelace")
    keyring = site.parts.keyring
    with site.parts.database.transaction() as session:
        name = "aVeryLongNameThatMustNotPushThePageWideOnAnyPhoneWhateverStandsInIt"
        keeping.keep(session, row.id, name, read_library(BIBTEX.encode()), site.parts.clock())
    site.subscribe("second@example.org")
    return [
        *(
            (path, 200)
            for path in (
                "/",
                "/subscribe",
                "/subscribed",
                "/search?q=paper",
                "/about",
                "/privacy",
                "/trending",
            )
        ),
        ("/day/2026-02-13", 200),
        ("/papers/2602.00001", 200),
        ("/manage", 200),
        ("/mailbox", 200),
        (f"/confirm/{site.confirm_token('second@example.org')}", 200),
        (f"/preferences/{preferences_token(keyring, row)}", 200),
        (f"/preferences/{preferences_token(keyring, row)}/libraries", 200),
        (f"/unsubscribe/{unsubscribe_token(keyring, row)}", 200),
        *((f"/list/{list_token(keyring, row)}{path}", 200) for path in answer_paths(site)),
        (f"/preferences/{preferences_token(keyring, row)}/drives", 200),
        ("/nothing", 404),
        ("/confirm/wrong", 404),
    ]


def answer_paths(site: Visitor) -> list[str]:
    """Answer enough for a model of one's own; return the pages of a reader's list."""
    row = site.subscriber()
    assert row is not None
    with site.parts.database.transaction() as session:
        for number in range(9):
            word: answers.Word = "more" if number < 4 else "less"
            answers.give(session, row.id, f"2602.000{number:02}", word, site.parts.clock())
    return ["", "/papers/2602.00001", "/papers/2602.00010", "/more/2602.00010", "/less/2602.00001"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_legible_and_fits_a_phone(site: Visitor, open_page: Open, scheme: str) -> None:
    """WCAG 2.2: contrast (1.4.3), reflow (1.4.10), size of targets (2.5.8), in both colour schemes."""
    for path, status in paths_of(site):
        page = open_page(path, allow=status, color_scheme=scheme, viewport={"width": 360, "height": 780})
        page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        wide, fits = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert wide <= fits, path
        assert page.evaluate(FAINT_TEXTS) == [], path
        assert page.evaluate(SMALL_TARGETS) == [], path


def test_browser_s_zone_is_guessed_and_can_be_changed(site: Visitor, open_page: Open) -> None:
    page = open_page("/", timezone_id="Asia/Kolkata", java_script_enabled=True)
    chosen = page.locator("#timezone").input_value()
    assert chosen in {"Asia/Kolkata", "Asia/Calcutta"}  # browsers disagree on its name
    page.locator("summary", has_text="Hour, days").click()
    page.select_option("#timezone", "Europe/Paris")
    page.fill("#address", ADDRESS)
    page.get_by_role("button", name="Subscribe").click()
    page.wait_for_url("**/subscribed")
    site.post(f"/confirm/{site.confirm_token()}")
    row = site.subscriber()
    assert row is not None
    assert row.timezone == "Europe/Paris"


def test_guess_leaves_what_somebody_chose(site: Visitor, open_page: Open) -> None:
    row = site.join(timezone="Pacific/Auckland")
    path = f"/preferences/{preferences_token(site.parts.keyring, row)}"
    page = open_page(path, timezone_id="Europe/Berlin")
    assert page.locator("#timezone").input_value() == "Pacific/Auckland"


def test_whole_way_without_script(site: Visitor, open_page: Open) -> None:
    """Subscribe, confirm, change, leave, with JavaScript off."""
    page = open_page("/", java_script_enabled=False)
    page.fill("#address", ADDRESS)
    page.get_by_label("LLM agents", exact=True).check()
    page.locator("summary", has_text="Hour, days").click()
    page.fill("#mutes", "blockchain")
    page.get_by_role("button", name="Subscribe").click()
    assert "check your mailbox" in page.locator("h1").inner_text()
    page.goto(f"{site.base_url}/confirm/{site.confirm_token()}")
    page.get_by_role("button").click()
    assert page.locator("h1").inner_text() == "You are subscribed"
    row = site.subscriber()
    assert row is not None
    page.goto(f"{site.base_url}/preferences/{preferences_token(site.parts.keyring, row)}")
    assert page.get_by_label("LLM agents").is_checked()
    page.fill("#papers", "7")
    page.get_by_role("button", name="Save").click()
    assert page.get_by_role("status").inner_text().startswith("Saved")
    page.get_by_role("button", name="Unsubscribe").click()
    assert page.locator("h1").inner_text() == "You are unsubscribed"
    left = site.subscriber()
    assert left is not None
    assert (left.status, left.paper_count, left.mutes) == ("unsubscribed", 7, ["blockchain"])


def test_interests_and_libraries_without_script(site: Visitor, open_page: Open) -> None:
    """One box, a preview, the return key; then refine, remove, and bring a library, with JavaScript off."""
    page = open_page("/subscribe", java_script_enabled=False)
    page.fill("#address", ADDRESS)
    page.get_by_label("What do you care about?").fill("paper titles, not vision\nlarks, not owls")
    page.get_by_role("button", name="See what it would hold").click()
    tried = page.get_by_role("region", name="What your digest would hold now")
    assert tried.get_by_text("counts against").count() == 2
    assert (
        page.get_by_label("What do you care about?").input_value()
        == "paper titles, not vision\nlarks, not owls"
    )
    page.press("#address", "Enter")  # subscribes, and presses none of the other buttons
    assert "check your mailbox" in page.locator("h1").inner_text()
    site.post(f"/confirm/{site.confirm_token()}")
    row = site.subscriber()
    assert row is not None
    page.goto(f"{site.base_url}/preferences/{preferences_token(site.parts.keyring, row)}")
    block = page.get_by_role("group", name="larks")
    block.locator("summary").press("Enter")
    block.get_by_label("Counts", exact=True).select_option(label="more")
    block.get_by_label("Papers like").fill("https://arxiv.org/abs/2602.00001v2")
    block.get_by_label("Papers like").press("Enter")  # saves
    assert page.get_by_role("status").inner_text().startswith("Saved")
    assert page.get_by_role("group", name="larks").get_by_label("Papers like").input_value() == "2602.00001"
    page.get_by_role("button", name="Remove paper titles").click()
    assert page.get_by_role("status").inner_text().startswith("Removed")
    assert page.get_by_role("group", name="paper titles").count() == 0
    page.get_by_role("link", name="Bring a library").click()
    page.set_input_files("#file", {"name": "birds.bib", "mimeType": "text/plain", "buffer": BIBTEX.encode()})
    page.get_by_role("button", name="Look at it").click()
    assert "1 work from BibTeX" in page.get_by_role("status").inner_text()
    assert "line 2:" in page.locator("details").inner_text()
    page.get_by_role("button", name="Keep it").click()
    assert "“birds” is kept" in page.get_by_role("status").inner_text()
    page.get_by_role("button", name="Delete birds").click()
    assert "is deleted" in page.get_by_role("status").inner_text()


def test_an_answer_is_given_undone_and_forgotten_without_script(site: Visitor, open_page: Open) -> None:
    """From the link in a mail to the list and back, by keyboard and buttons alone."""
    row = site.join(words="title", mutes="quiet word")
    keyring = site.parts.keyring
    own = f"/list/{list_token(keyring, row)}"
    page = open_page(f"{own}/more/2602.00003", java_script_enabled=False)
    page.keyboard.press("Tab")
    page.get_by_role("button", name="More like this").focus()
    page.keyboard.press("Enter")
    assert page.get_by_role("status").inner_text().startswith("Noted: more like this")
    page.get_by_role("button", name="Undo").click()
    assert page.get_by_role("status").inner_text().startswith("Taken back")
    page.get_by_role("link", name="To your list").click()
    page.get_by_role("button", name="Not for me").first.click()
    assert page.locator("h1").inner_text() == "Noted: not for you"
    page.goto(f"{site.base_url}/preferences/{preferences_token(keyring, row)}")
    page.get_by_role("link", name="What drives your list").click()
    assert "not for me" in page.locator("section[aria-labelledby=answers]").inner_text()
    page.get_by_role("button", name="Unmute").click()
    assert "is not muted any more" in page.get_by_role("status").inner_text()
    page.get_by_role("button", name="Forget all my answers").click()
    assert "All answers are forgotten: 1" in page.get_by_role("status").inner_text()


def test_errors_are_seen_and_announced(site: Visitor, open_page: Open) -> None:
    page = open_page("/", java_script_enabled=False, quiet=False)
    page.fill("#address", "ann@example.org")
    page.locator("summary", has_text="Hour, days").click()
    page.fill("#categories", "cs.XX")
    page.get_by_role("button", name="Subscribe").click()
    assert page.get_by_role("alert").is_visible()
    assert page.locator("#categories-error").is_visible()
    assert page.locator("#address").input_value() == "ann@example.org"


def test_abstract_unfolds_by_keyboard(open_page: Open) -> None:
    page = open_page("/day/2026-02-13", java_script_enabled=False)
    summary = page.locator("article summary").first
    rest = page.locator("article details p").first
    assert not rest.is_visible()
    summary.focus()
    page.keyboard.press("Enter")
    assert rest.is_visible()


def test_first_tab_stop_skips_to_the_content(open_page: Open) -> None:
    page = open_page("/")
    page.keyboard.press("Tab")
    link = page.locator(".skip")
    assert link.evaluate("n => n === document.activeElement && n.getBoundingClientRect().top >= 0")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_mail_in_its_frame_runs_nothing(site: Visitor, open_page: Open, clock: SettableClock) -> None:
    store = site.app.state.site.mailbox  # type: ignore[attr-defined]
    mail = store.add(
        b"From: a@example.org\r\nSubject: Hi\r\nMIME-Version: 1.0\r\nContent-Type: text/html\r\n\r\n"
        b"<p id=seen>Hello</p><script>document.getElementById('seen').textContent = 'ran'</script>"
        b"<img src='https://tracker.example/pixel.png'><a href='/about'>Link</a>",
        sender="a@example.org",
        recipients=["b@example.org"],
        now=clock(),
    )
    page = open_page(f"/mailbox/{mail.id}", quiet=False)
    frame = page.frame_locator("iframe")
    page.wait_for_load_state("networkidle")
    assert frame.locator("#seen").inner_text() == "Hello"
