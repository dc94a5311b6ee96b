"""The Hugging Face source asks politely, stays at its host, and says clearly what went wrong."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime

import httpx2
import pytest

from service.papers.sources import Answer, SourceUnavailable, UnusableAnswer
from service.papers.sources.fetching import MAXIMUM_BYTES, rate_limit, retry_after
from service.papers.sources.huggingface import HuggingFaceSource, list_days

NOW = datetime(2026, 2, 13, 8, tzinfo=UTC)  # a Friday
ITEM = {"paper": {"id": "2602.00001", "title": "T", "upvotes": 3}}

Handler = Callable[[httpx2.Request], httpx2.Response]


class Host:
    """A stand-in for the site: answers through ``handler``, remembers requests and waits."""

    def __init__(self, handler: Handler | None = None) -> None:
        self.handler = handler or (lambda request: httpx2.Response(200, json=[ITEM]))
        self.requests: list[httpx2.Request] = []
        self.waits: list[float] = []

    def source(self, root: str = "https://hf.example", **others: str) -> HuggingFaceSource:
        def answer(request: httpx2.Request) -> httpx2.Response:
            self.requests.append(request)
            return self.handler(request)

        transport = httpx2.MockTransport(answer)
        return HuggingFaceSource(root, transport=transport, sleep=self.waits.append, **others)

    def fetch(self, **others: str) -> list[Answer]:
        return list(self.source(**others).fetch(NOW))

    def fetch_until_given_up(self) -> tuple[list[Answer], str]:
        answers: list[Answer] = []
        with pytest.raises(SourceUnavailable) as error:
            answers.extend(self.source().fetch(NOW))
        return answers, str(error.value)


def in_turn(*responses: httpx2.Response) -> Handler:
    """Answer with one response after another, the last again and again."""
    left = list(responses)
    return lambda request: left.pop(0) if len(left) > 1 else left[0]


def test_the_last_ten_weekdays_are_asked_for_newest_first() -> None:
    host = Host()

    answers = host.fetch()

    days = [request.url.params["date"] for request in host.requests]
    assert days == [f"2026-02-{day:02}" for day in (13, 12, 11, 10, 9, 6, 5, 4, 3, 2)]
    assert {request.url.params["limit"] for request in host.requests} == {"100"}
    assert {request.url.path for request in host.requests} == {"/api/daily_papers"}
    assert [answer.listed_on for answer in answers] == [date.fromisoformat(day) for day in days]
    assert host.waits == []


def test_on_a_weekend_the_newest_day_is_friday() -> None:
    assert list_days(date(2026, 2, 15), 2) == [date(2026, 2, 13), date(2026, 2, 12)]


def test_an_answer_is_parsed_with_its_day_and_instant() -> None:
    source = Host().source()
    parsed = source.parse(next(source.fetch(NOW)))

    assert parsed.papers[0].listed_on == date(2026, 2, 13)
    assert parsed.papers[0].source == parsed.observations[0].source == "huggingface"
    assert parsed.observations[0].observed_at == NOW


def test_we_name_ourselves_and_send_the_token_only_if_there_is_one() -> None:
    plain, named = Host(), Host()
    plain.fetch()
    named.fetch(token="hf_secret", contact="https://digest.example.org")

    assert plain.requests[0].headers["User-Agent"].startswith("Paperlark/")
    assert "Authorization" not in plain.requests[0].headers
    assert named.requests[0].headers["User-Agent"].endswith("(+https://digest.example.org)")
    assert named.requests[0].headers["Authorization"] == "Bearer hf_secret"


def test_today_without_papers_is_quiet_and_no_failure() -> None:
    host = Host(in_turn(httpx2.Response(200, json=[]), httpx2.Response(200, json=[ITEM])))

    answers = host.fetch()

    assert [answer.failure for answer in answers] == [None] * 10
    assert host.source().parse(answers[0]).papers == ()


def test_an_error_page_with_200_is_refused_when_read() -> None:
    host = Host(lambda request: httpx2.Response(200, html="<!doctype html><title>Maintenance</title>"))
    source = host.source()

    with pytest.raises(UnusableAnswer, match="HTML page"):
        source.parse(next(source.fetch(NOW)))


def test_a_429_is_waited_out_as_told_and_asked_again() -> None:
    limited = httpx2.Response(429, headers={"Retry-After": "17"})
    host = Host(in_turn(limited, httpx2.Response(200, json=[ITEM])))

    answers = host.fetch()

    assert host.waits == [17.0]
    assert len(host.requests) == 11
    assert all(answer.failure is None for answer in answers)


def test_a_429_without_retry_after_obeys_the_rate_limit_header() -> None:
    limited = httpx2.Response(429, headers={"RateLimit": '"api";r=0;t=33'})
    host = Host(in_turn(limited, httpx2.Response(200, json=[ITEM])))

    host.fetch()

    assert host.waits == [33.0]


def test_too_long_a_wait_gives_up_the_rest_and_keeps_what_came() -> None:
    limited = httpx2.Response(429, headers={"Retry-After": "290"})
    host = Host(in_turn(*[httpx2.Response(200, json=[ITEM])] * 4, limited))

    answers, why = host.fetch_until_given_up()

    assert len(answers) == 4
    assert "429" in why
    assert "290 s" in why
    assert host.waits == []


def test_being_limited_again_after_the_wait_gives_up() -> None:
    host = Host(in_turn(httpx2.Response(429, headers={"Retry-After": "5"})))

    answers, why = host.fetch_until_given_up()

    assert (answers, host.waits) == ([], [5.0])
    assert "even after the wait" in why


def test_all_waits_of_a_run_together_are_bounded() -> None:
    limited = httpx2.Response(429, headers={"Retry-After": "50"})
    fine = httpx2.Response(200, json=[ITEM])
    host = Host(in_turn(limited, fine, limited, fine, limited, fine))

    answers, _ = host.fetch_until_given_up()

    assert host.waits == [50.0, 50.0]
    assert len(answers) == 2


def test_when_no_request_is_left_we_wait_before_the_next_not_after_the_last() -> None:
    host = Host(lambda request: httpx2.Response(200, json=[ITEM], headers={"RateLimit": '"api";r=0;t=7'}))

    host.fetch()

    assert host.waits == [7.0] * 9


def test_an_error_of_theirs_is_tried_again_once() -> None:
    host = Host(in_turn(httpx2.Response(503), httpx2.Response(200, json=[ITEM])))

    assert all(answer.failure is None for answer in host.fetch())
    assert host.waits == [2.0]


def test_one_failing_day_does_not_stop_the_others() -> None:
    def handler(request: httpx2.Request) -> httpx2.Response:
        bad = request.url.params["date"] == "2026-02-11"
        return httpx2.Response(500) if bad else httpx2.Response(200, json=[ITEM])

    answers = Host(handler).fetch()

    assert [answer.failure for answer in answers if answer.failure] == ["hf.example answered 500"]
    assert len(answers) == 10


def test_a_host_that_only_fails_is_given_up_soon() -> None:
    host = Host(lambda request: httpx2.Response(502))

    answers, why = host.fetch_until_given_up()

    assert len(answers) == 2
    assert "502" in why


@pytest.mark.parametrize("status", [401, 403])
def test_being_refused_points_at_the_token(status: int) -> None:
    _, why = Host(lambda request: httpx2.Response(status)).fetch_until_given_up()

    assert "PAPERLARK_HUGGINGFACE_TOKEN" in why


@pytest.mark.parametrize("error", [httpx2.ConnectError("no route"), httpx2.ReadTimeout("slow")])
def test_a_host_out_of_reach_is_given_up_at_once(error: Exception) -> None:
    def handler(request: httpx2.Request) -> httpx2.Response:
        raise error

    host = Host(handler)
    answers, why = host.fetch_until_given_up()

    assert (answers, len(host.requests), host.waits) == ([], 1, [])
    assert "hf.example can't be reached" in why


@pytest.mark.trust(88)
@pytest.mark.parametrize(
    "target",
    ["http://127.0.0.1/", "http://169.254.169.254/latest", "http://[::1]/", "https://evil.example/api",
     "http://hf.example/api/daily_papers", "https://hf.example:8443/api", "file:///etc/passwd",
     "//evil.example/"],
)  # fmt: skip
def test_a_redirect_elsewhere_is_not_followed(target: str) -> None:
    host = Host(lambda request: httpx2.Response(302, headers={"Location": target}))

    _, why = host.fetch_until_given_up()

    assert len(host.requests) == 1
    assert "redirects to" in why


def test_a_redirect_within_the_host_is_followed_but_not_for_ever() -> None:
    moved = httpx2.Response(307, headers={"Location": "/api/v2/daily_papers?date=2026-02-13"})
    host = Host(in_turn(moved, httpx2.Response(200, json=[ITEM])))

    assert all(answer.failure is None for answer in host.fetch())
    _, why = Host(lambda request: httpx2.Response(302, headers={"Location": "/loop"})).fetch_until_given_up()
    assert "circle" in why


def test_the_next_page_is_fetched_at_the_same_host_only() -> None:
    def handler(request: httpx2.Request) -> httpx2.Response:
        if request.url.params["date"] != "2026-02-13":
            return httpx2.Response(200, json=[])
        if "p" in request.url.params:
            return httpx2.Response(
                200, json=[ITEM], headers={"Link": '<https://evil.example/?p=2>; rel="next"'}
            )
        link = '</api/daily_papers?date=2026-02-13&limit=100&p=1>; rel="next"'
        return httpx2.Response(200, json=[ITEM], headers={"Link": link})

    host = Host(handler)
    answers = host.fetch()

    assert len(answers) == 11
    assert {request.url.host for request in host.requests} == {"hf.example"}


def test_an_answer_that_is_too_large_is_not_read_to_its_end() -> None:
    class Endless(httpx2.SyncByteStream):
        sent = 0

        def __iter__(self):
            while True:
                Endless.sent += 1_000_000
                yield b" " * 1_000_000

    def handler(request: httpx2.Request) -> httpx2.Response:
        large = request.url.params["date"] == "2026-02-13"
        return httpx2.Response(200, stream=Endless()) if large else httpx2.Response(200, json=[ITEM])

    answers = Host(handler).fetch()

    assert "larger than" in str(answers[0].failure)
    assert Endless.sent <= MAXIMUM_BYTES + 2_000_000
    assert all(answer.failure is None for answer in answers[1:])


@pytest.mark.parametrize(
    ("header", "limit"),
    [
        ('"api";r=489;t=261', (489, 261)),
        ("limit=100, remaining=3, reset=30", (3, 30)),
        ("", None), ("r=5", None), ("nonsense", None), ("r=-1;t=x", None),
    ],
)  # fmt: skip
def test_the_rate_limit_header_is_read_in_both_spellings(header: str, limit: tuple[int, int] | None) -> None:
    assert rate_limit({"ratelimit": header}) == limit


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120.0), ("Fri, 13 Feb 2026 08:00:30 GMT", 30.0), ("Fri, 13 Feb 2026 07:00:00 GMT", 0.0),
        ("soon", 60.0), ("", 60.0),
    ],
)  # fmt: skip
def test_retry_after_is_seconds_or_a_date(header: str, seconds: float) -> None:
    assert retry_after({"retry-after": header}, NOW) == seconds


def test_the_body_is_what_was_sent() -> None:
    assert json.loads(Host().fetch()[0].body) == [ITEM]
