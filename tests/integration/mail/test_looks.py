"""The mails in a real browser: width of a phone, contrast in light and in dark (trust 14)."""

import shutil
from collections.abc import Iterator
from dataclasses import replace

import pytest
from playwright.sync_api import Browser, sync_playwright

from service.mail.letters import Letter
from service.mail.templates import render
from tests.unit.mail.letter_samples import a_card, a_digest, a_sender, every_letter

pytestmark = pytest.mark.chromium

LETTERS = [
    *every_letter(),
    a_digest(notice="No answer from huggingface since Wednesday.", is_first=True),
    a_digest(for_you=0),
]

# WCAG 2.2, 1.4.3: each text's colour against the nearest background behind it.
WORST_CONTRAST = """() => {
  const channel = c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const numbers = text => text.match(/[\\d.]+/g).map(Number);
  const behind = node => {
    for (; node; node = node.parentElement) {
      const [r, g, b, a = 1] = numbers(getComputedStyle(node).backgroundColor);
      if (a === 1) return [r, g, b];
    }
    return [255, 255, 255];
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let worst = [99, ''];
  while (walker.nextNode()) {
    const text = walker.currentNode, parent = text.parentElement;
    if (!text.data.trim()) continue;
    const a = light(numbers(getComputedStyle(parent).color)), b = light(behind(parent));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < worst[0]) worst = [ratio, text.data.trim().slice(0, 40)];
  }
  return worst;
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium on this machine: the looks of the mails are not tested")
    quiet = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
    quiet += ["--disable-background-networking", "--disable-component-update"]
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=quiet)
        yield opened
        opened.close()


@pytest.mark.trust(14)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_trust_14_every_text_stands_out_from_its_ground(browser: Browser, scheme: str) -> None:
    page = browser.new_page(color_scheme=scheme)
    for letter in LETTERS:
        page.set_content(html_of(letter))
        ratio, text = page.evaluate(WORST_CONTRAST)
        assert ratio >= 4.5, (letter.kind, text)
    page.close()


@pytest.mark.parametrize("width", [360, 390, 1000])
def test_no_mail_scrolls_sideways(browser: Browser, width: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": 800})
    long = a_card(title="Verylongtitlewithoutanyspace" * 9, abstract="https://example.org/" + "x" * 400)
    for letter in [*LETTERS, replace(a_digest(), trending=(long,))]:
        page.set_content(html_of(letter))
        assert page.evaluate("document.documentElement.scrollWidth") <= width, letter.kind
    page.close()


def html_of(letter: Letter) -> str:
    return render(letter, a_sender().imprint).html
