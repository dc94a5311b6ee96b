"""Hugging Face Daily Papers over its JSON API. All of its traps are written down in docs/sources.md."""

import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import httpx2

from service.papers.sources import Answer, Parsed, SourceUnavailable, UnusableAnswer, daily_papers
from service.papers.sources.fetching import (
    Page,
    Patience,
    Sleep,
    get_page,
    open_client,
    rate_limit,
    retry_after,
    same_origin,
)

LIST_DAYS = 10  # polled again and again, so that votes become a curve
LIMIT = 100  # the most that is allowed; a day has 25
PAGES = 3  # of one day; more than one has never been seen
TRIES = 2
RETRY_SECONDS = 2.0
FAILURES_IN_A_ROW = 2


def list_days(today: date, count: int = LIST_DAYS) -> list[date]:
    """Give the last ``count`` weekdays up to ``today``, newest first: weekends have no list."""
    days = (today - timedelta(days=back) for back in range(count * 2 + 2))
    return [day for day in days if day.weekday() < 5][:count]


class HuggingFaceSource:
    """The lists of the last ten list days, each asked for anew in each run."""

    name = "huggingface"

    def __init__(
        self,
        root: str,
        *,
        token: str | None = None,
        contact: str | None = None,
        transport: httpx2.BaseTransport | None = None,
        sleep: Sleep = time.sleep,
    ) -> None:
        """Take the site's root address; ``contact`` is an address for the User-Agent."""
        self._url = httpx2.URL(f"{root.rstrip('/')}/api/daily_papers")
        self._headers = {"Accept": "application/json"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        self._contact = contact
        self._transport = transport
        self._sleep = sleep

    def fetch(self, now: datetime) -> Iterator[Answer]:
        """Ask for each list day, newest first, so that the newest is there if the rest is given up.

        Raises:
            SourceUnavailable: nothing can be reached, or too long a wait was asked for.
        """
        patience = Patience(self._sleep)
        failures = 0
        client = open_client(contact=self._contact, transport=self._transport)
        for day in list_days(now.astimezone(UTC).date()):
            for answer in self._fetch_day(client, day, now, patience):
                yield answer
                failures = failures + 1 if answer.failure else 0
            if failures >= FAILURES_IN_A_ROW:
                raise SourceUnavailable(
                    f"{answer.failure}, {failures} times in a row: the rest was not asked for"
                )

    def parse(self, answer: Answer) -> Parsed:
        """Read one day's list."""
        context = daily_papers.Context(
            source=self.name, observed_at=answer.observed_at, listed_on=answer.listed_on
        )
        return daily_papers.parse_answer(answer.body, context)

    def _fetch_day(
        self, client: httpx2.Client, day: date, now: datetime, patience: Patience
    ) -> Iterator[Answer]:
        url: httpx2.URL | None = self._url.copy_merge_params({"date": day.isoformat(), "limit": str(LIMIT)})
        for _ in range(PAGES):
            if url is None:
                return
            body, failure, url = self._ask(client, url, now, patience)
            yield Answer(origin=f"list of {day}", observed_at=now, listed_on=day, body=body, failure=failure)

    def _ask(
        self, client: httpx2.Client, url: httpx2.URL, now: datetime, patience: Patience
    ) -> tuple[bytes, str | None, httpx2.URL | None]:
        """Give a page's body, what is wrong with it, and the address of the page that follows."""
        try:
            page = self._get(client, url, now, patience)
        except UnusableAnswer as error:
            return b"", str(error), None
        if page.status != 200:
            return b"", f"{self._url.host} answered {page.status}", None
        return page.body, None, _following(page)

    def _get(self, client: httpx2.Client, url: httpx2.URL, now: datetime, patience: Patience) -> Page:
        """Get one page within their limits; try once more after a 429 and after an error of theirs."""
        host = self._url.host
        for tries_left in reversed(range(TRIES)):
            patience.wait()
            page = get_page(client, url, headers=self._headers)
            if page.status == 429:
                patience.ask(retry_after(page.headers, now), f"{host} limits our requests (429)")
            elif page.status >= 500 and tries_left:
                patience.ask(RETRY_SECONDS, f"{host} answered {page.status}")
            else:
                break
        if page.status == 429:
            raise SourceUnavailable(f"{host} limits our requests (429), even after the wait it asked for")
        if page.status in {401, 403}:
            raise SourceUnavailable(
                f"{host} refuses us ({page.status}); check PAPERLARK_HUGGINGFACE_TOKEN if one is set"
            )
        limit = rate_limit(page.headers)
        if limit and limit[0] == 0:
            patience.ask(limit[1], f"{host} allows no further request now")
        return page


def _following(page: Page) -> httpx2.URL | None:
    """Give the address of the next page, if it is at the same host."""
    try:
        following = page.url.join(page.next_url) if page.next_url else None
    except httpx2.InvalidURL:
        return None
    return following if following is not None and same_origin(page.url, following) else None
