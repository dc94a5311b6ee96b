"""arXiv: the feed tells what was announced today, the query API the details of the last days.

Both are asked, because each hides things: the feed can show yesterday's batch under a fresh date and knows no
comments (where authors put links to their code); the API can lag behind the announcement. arXiv's terms
(info.arxiv.org/help/api/tou.html) allow one request every three seconds on one connection, for everything a
project runs; one collector at a time keeps to that.
"""

import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import httpx2

from service.papers.sources import Answer, Parsed, SourceUnavailable, UnusableAnswer, arxiv_atom
from service.papers.sources.arxiv_calendar import expected_feed_day
from service.papers.sources.fetching import Page, Patience, Sleep, get_page, retry_after
from service.papers.taxonomy import CATEGORIES, fold_category

PAUSE_SECONDS = 3.0
RETRY_SECONDS = 6.0
TRIES = 3
PAGE_SIZE = 500
MAXIMUM_RESULTS = 10_000  # of one run: the four default categories have about 2,500 in the window
WINDOW = timedelta(days=4)  # what is sent in on a Friday afternoon is announced on Monday evening


class ArxivSource:
    """New papers of the categories an operator follows. arXiv has no votes: there are no observations."""

    name = "arxiv"

    def __init__(
        self,
        api_url: str,
        rss_url: str,
        categories: Sequence[str],
        client: httpx2.Client,
        *,
        include_cross: bool = False,
        sleep: Sleep = time.sleep,
    ) -> None:
        """Take the two addresses and the categories, such as ``cs.CL``, or a whole archive, such as ``cs``.

        ``include_cross`` also takes what the feed announces as cross-listed; replacements are never news.
        """
        self._api = httpx2.URL(api_url)
        self._rss = rss_url.rstrip("/")
        self._categories = categories
        self._client = client
        self._include_cross = include_cross
        self._sleep = sleep

    def fetch(self, now: datetime) -> Iterator[Answer]:
        """Ask for the feed, then for the papers sent in during the last four days, page by page.

        Raises:
            SourceUnavailable: no answer, a refusal, or a category that arXiv doesn't have.
        """
        codes = known_codes(self._categories)
        patience = Patience(self._sleep)
        yield from self._fetch_feed(codes, now, patience)
        start, total = 0, 1
        while start < min(total, MAXIMUM_RESULTS):
            patience.ask(PAUSE_SECONDS, "arXiv allows one request in three seconds")
            answer, count, total = self._fetch_slice(codes, start, now, patience)
            yield answer
            if count == 0:
                return
            start += count

    def parse(self, answer: Answer) -> Parsed:
        """Read a feed or a page of the API, whichever it is."""
        return arxiv_atom.parse(answer.body, answer.observed_at, include_cross=self._include_cross)

    def _fetch_feed(self, codes: Sequence[str], now: datetime, patience: Patience) -> Iterator[Answer]:
        origin = f"feed of {', '.join(codes)}"
        try:
            page = self._get(httpx2.URL(f"{self._rss}/{'+'.join(codes)}"), now, patience)
        except _Limited:
            raise
        except (SourceUnavailable, UnusableAnswer) as error:  # the API is another host: it may well answer
            yield Answer(origin=origin, observed_at=now, failure=str(error))
            return
        if page.status != 200:
            yield Answer(origin=origin, observed_at=now, failure=f"the feed answered {page.status}")
            return
        yield Answer(origin=origin, observed_at=now, body=page.body)
        if stale := arxiv_atom.staleness(page.body, expected_feed_day(now)):
            yield Answer(origin=origin, observed_at=now, failure=stale)

    def _fetch_slice(
        self, codes: Sequence[str], start: int, now: datetime, patience: Patience
    ) -> tuple[Answer, int, int]:
        """Give a page of the window, how many entries it has and how many there are in all."""
        origin = f"papers {start + 1} and on of {', '.join(codes)}"
        url = self._api.copy_merge_params(_query(codes, start, now))
        failure = ""
        for _ in range(TRIES):
            try:
                page = self._get(url, now, patience)
                if page.status != 200:
                    said = arxiv_atom.complaint(page.body)
                    raise SourceUnavailable(f"{url.host} answered {page.status}: {said}")
                count, total = arxiv_atom.count_entries(page.body)
            except UnusableAnswer as error:
                failure = str(error)
            else:
                if count or start >= total:
                    return Answer(origin=origin, observed_at=now, body=page.body), count, total
                failure = f"an empty page, although there are {total} papers"
            # Empty bodies and empty pages in mid-list come and go (docs/sources.md).
            patience.ask(RETRY_SECONDS, f"{url.host} gave an unusable page")
        return Answer(origin=origin, observed_at=now, failure=failure), 0, 0

    def _get(self, url: httpx2.URL, now: datetime, patience: Patience) -> Page:
        for tries_left in reversed(range(TRIES)):
            patience.wait()
            page = get_page(self._client, url)
            if page.status == 429:
                seconds = max(retry_after(page.headers, now), RETRY_SECONDS)
                if not tries_left or seconds > patience.seconds_left:
                    raise _Limited(f"{url.host} limits our requests (429): the rest is left to the next run")
            elif page.status >= 500 and tries_left:
                seconds = RETRY_SECONDS
            else:
                break
            patience.ask(seconds, f"{url.host} answered {page.status}")
        return page


class _Limited(SourceUnavailable):
    """arXiv told us to stay away, which holds for all of its hosts."""


def known_codes(categories: Sequence[str]) -> list[str]:
    """Fold aliases and drop doubles; whole archives (``cs``) may stand among the categories.

    Raises:
        SourceUnavailable: arXiv has no such category; the message names it.
    """
    archives = {code.partition(".")[0] for code in CATEGORIES}
    codes = []
    for name in categories:
        code = fold_category(name) or (name.strip() if name.strip() in archives else None)
        if code is None:
            raise SourceUnavailable(f"PAPERLARK_ARXIV_CATEGORIES: arXiv has no category {name!r}")
        codes.append(code)
    if not codes:
        raise SourceUnavailable("PAPERLARK_ARXIV_CATEGORIES names no category")
    return list(dict.fromkeys(codes))


def _query(codes: Sequence[str], start: int, now: datetime) -> dict[str, str]:
    wanted = " OR ".join(f"cat:{code}" if code in CATEGORIES else f"cat:{code}.*" for code in codes)
    window = f"{now - WINDOW:%Y%m%d%H%M} TO {now:%Y%m%d%H%M}"
    return {
        "search_query": f"({wanted}) AND submittedDate:[{window}]",
        "start": str(start),
        "max_results": str(PAGE_SIZE),
        "sortBy": "submittedDate",
        "sortOrder": "descending",
    }
