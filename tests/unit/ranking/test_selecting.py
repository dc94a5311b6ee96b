"""Lists that keep their promises, whatever the papers and the wishes."""

import random
from collections import Counter
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from service.ranking.corpus import Corpus
from service.ranking.explaining import OFF_INTERESTS
from service.ranking.matching import match, reasons
from service.ranking.muting import shows_muted
from service.ranking.selecting import rank, select, trending_count
from service.ranking.tokens import TokenStore, parts
from service.ranking.values import Candidate, Interest, Profile, Selection, Trend

WORDS = ("owl", "lark", "wren", "night", "song", "nest", "egg", "wing", "video", "votes")
PEOPLE = ("Ada Lark", "Bo Wren", "Cy Owl", "Di Swan", "Ed Tern")
NAMED = st.sampled_from(WORDS)
PHRASE = st.lists(NAMED, min_size=1, max_size=2).map(" ".join)
IDS = [f"2601.{number:05}" for number in range(24)]


def _sentence(least: int, most: int) -> st.SearchStrategy[str]:
    return st.lists(NAMED, min_size=least, max_size=most).map(" ".join)


@st.composite
def papers(draw: st.DrawFn) -> list[Candidate]:
    ids = draw(st.lists(st.sampled_from(IDS), max_size=16, unique=True))
    return [
        Candidate(
            id=id_,
            title=draw(_sentence(1, 4)),
            abstract=draw(_sentence(0, 6)),
            keywords=tuple(draw(st.lists(NAMED, max_size=2))),
            authors=tuple(draw(st.lists(st.sampled_from(PEOPLE), max_size=2))),
            categories=tuple(draw(st.lists(st.sampled_from(["cs.CV", "cs.CL"]), max_size=1))),
        )
        for id_ in ids
    ]


INTERESTS = st.builds(
    Interest,
    name=PHRASE,
    phrases=st.lists(PHRASE, max_size=2).map(tuple),
    categories=st.lists(st.sampled_from(["cs.CV", "cs"]), max_size=1).map(tuple),
    authors=st.lists(st.sampled_from(PEOPLE), max_size=1).map(tuple),
    examples=st.lists(st.sampled_from(IDS), max_size=2).map(tuple),
    mutes=st.lists(NAMED, max_size=1).map(tuple),
    weight=st.sampled_from([0.0, 0.2, 1.0, 5.0]),
)
PROFILES = st.builds(
    Profile,
    interests=st.lists(INTERESTS, max_size=3).map(tuple),
    mutes=st.lists(PHRASE, max_size=2).map(tuple),
    liked=st.lists(st.sampled_from(IDS), max_size=2).map(tuple),
    disliked=st.lists(st.sampled_from(IDS), max_size=2).map(tuple),
    seen=st.frozensets(st.sampled_from(IDS), max_size=6),
)


def a_trend(score: float) -> Trend:
    return Trend(
        score=score, percentile=None, parts={"votes": score}, version="t", reason=f"{score:.0%} votes"
    )


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[Candidate], dict[str, Trend]]:
    made = draw(papers())
    trends = {one.id: a_trend(draw(st.floats(0, 1))) for one in made if draw(st.booleans())}
    return made, trends


def mutes_of(profile: Profile) -> list[str]:
    return [*profile.mutes, *(mute for one in profile.interests for mute in one.mutes)]


def known_to(profile: Profile) -> set[str]:
    named = {id_ for one in profile.interests for id_ in one.examples}
    return {*profile.seen, *profile.liked, *profile.disliked, *named}


@settings(max_examples=120, deadline=None)
@given(worlds(), st.lists(st.tuples(PROFILES, st.integers(0, 9)), max_size=4))
def test_promises_hold_for_everybody(
    world: tuple[list[Candidate], dict[str, Trend]], people: list[tuple[Profile, int]]
) -> None:
    made, trends = world
    by_id = {one.id: one for one in made}
    corpus = Corpus.build(made)
    profiles, counts = [one for one, _ in people], [count for _, count in people]
    for profile, count, selection in zip(
        profiles, counts, select(profiles, corpus, trends, counts=counts), strict=True
    ):
        chosen = [*selection.trending, *selection.for_you]
        ids = [one.id for one in chosen]
        assert len(ids) <= count
        assert len(set(ids)) == len(ids)
        assert not set(ids) & known_to(profile)
        shown = [text for one in chosen for _, text in parts(by_id[one.id])]
        shown += [line for one in chosen for line in (*one.reasons, one.interest or "")]
        assert not [text for text in shown if shows_muted(text, mutes_of(profile))]
        firsts = Counter(by_id[id_].authors[0] for id_ in ids if by_id[id_].authors)
        assert max(firsts.values(), default=0) <= 2
        assert all(trends[one.id].score > 0 for one in selection.trending)
        active = [one for one in profile.interests if one.weight > 0]
        for one in selection.for_you:
            place = corpus.index[one.id]
            assert any(reasons(corpus, interest, place) for interest in active) or profile.liked
        if not active and not profile.liked:
            assert not selection.for_you


@settings(max_examples=60, deadline=None)
@given(worlds(), st.lists(PROFILES, min_size=1, max_size=3), st.randoms(use_true_random=False))
def test_neither_the_order_of_papers_nor_the_company_matters(
    world: tuple[list[Candidate], dict[str, Trend]], profiles: list[Profile], chance: random.Random
) -> None:
    made, trends = world
    counts = [7] * len(profiles)
    first = select(profiles, Corpus.build(made), trends, counts=counts)
    shuffled = chance.sample(made, len(made))
    store = TokenStore()
    Corpus.build([Candidate(id="2501.00001", title="zebra wren egg")], vectors=store)
    again = Corpus.build(shuffled, vectors=store)
    assert select(profiles, again, trends, counts=counts) == first
    for profile, selection in zip(profiles, first, strict=True):
        assert select([profile], again, trends, counts=[7]) == [selection]


@settings(max_examples=80, deadline=None)
@given(worlds(), PROFILES)
def test_rank_orders_all_that_is_new_and_not_muted(
    world: tuple[list[Candidate], dict[str, Trend]], profile: Profile
) -> None:
    made, trends = world
    ranked = rank(profile, Corpus.build(made), trends)
    muted = {one.id for one in made if any(shows_muted(text, mutes_of(profile)) for _, text in parts(one))}
    assert {one.id for one in ranked} == {one.id for one in made} - known_to(profile) - muted
    assert len(ranked) == len({one.id for one in ranked})
    scores = [one.score for one in ranked]
    assert scores == sorted(scores, reverse=True)


def birds(count: int = 40) -> list[Candidate]:
    """Make papers by different people, each third about owls, every tenth about larks."""
    return [
        Candidate(
            id=f"2601.{number:05}",
            title=f"{'Owls' if number % 3 == 0 else 'Things'} {number}",
            abstract="A lark sings." if number % 10 == 1 else "Nothing more.",
            authors=(f"Given{number} Family{number}",),
        )
        for number in range(count)
    ]


def trending(made: list[Candidate]) -> dict[str, Trend]:
    return {one.id: a_trend((number + 1) / (len(made) + 1)) for number, one in enumerate(made)}


def choose(profile: Profile, made: list[Candidate], count: int = 10) -> Selection:
    return select([profile], Corpus.build(made), trending(made), counts=[count])[0]


def test_counts_are_shared_between_the_lists() -> None:
    assert [trending_count(count) for count in (0, 1, 2, 3, 5, 6, 8, 10, 20)] == [0, 0, 1, 1, 2, 3, 3, 4, 8]
    chosen = choose(Profile(interests=(Interest(name="Owls", phrases=("owls",)),)), birds())
    assert (len(chosen.trending), len(chosen.for_you)) == (4, 6)
    assert [one.id for one in chosen.trending] == [f"2601.{number:05}" for number in (39, 38, 37, 36)]


def test_without_interests_all_is_trending_and_few_matches_leave_room_for_it() -> None:
    made = birds()
    assert len(choose(Profile(), made).trending) == 10
    chosen = choose(Profile(interests=(Interest(name="Larks", phrases=("larks",)),)), made)
    assert {one.id for one in chosen.for_you} == {f"2601.{number:05}" for number in (1, 11, 21, 31)}
    assert len(chosen.trending) == 6


def test_no_interest_starves_whatever_its_weight() -> None:
    owls = Interest(name="Owls", phrases=("owls",), weight=100.0)
    larks = Interest(name="Larks", phrases=("lark",), weight=0.01)
    chosen = choose(Profile(interests=(owls, larks)), birds())
    assert Counter(one.interest for one in chosen.for_you) == {"Owls": 5, "Larks": 1}


def test_weights_share_the_places() -> None:
    owls = Interest(name="Owls", phrases=("owls",), weight=2.0)
    larks = Interest(name="Larks", phrases=("lark",))
    chosen = choose(Profile(interests=(owls, larks)), birds(120), 15)
    assert Counter(one.interest for one in chosen.for_you) == {"Owls": 6, "Larks": 3}


def test_a_followed_author_has_a_sure_place() -> None:
    made = birds()
    interests = [Interest(name=f"I{number}", phrases=("owls",)) for number in range(5)]
    follow = Interest(name="People", authors=("Family2, Given2",), weight=0.1)
    chosen = choose(Profile(interests=(*interests, follow)), made, 2)
    assert [one.id for one in chosen.for_you] == ["2601.00002"]
    assert chosen.for_you[0].reasons == ("by Given2 Family2, an author you follow",)


def test_a_trending_paper_also_says_which_interest_it_fits() -> None:
    chosen = choose(Profile(interests=(Interest(name="Owls", phrases=("owls",)),)), birds())
    best = chosen.trending[0]
    assert best.reasons == ("98% votes", "matches 'Owls': owls")
    assert best.interest == "Owls"


def test_what_was_liked_draws_near_and_what_was_not_goes_last() -> None:
    splats = [
        Candidate(id=f"2601.0000{number}", title="Gaussian splatting of scenes", abstract=f"Splats {number}.")
        for number in range(3)
    ]
    texts = [
        Candidate(id=f"2601.0001{number}", title="Language models of law", abstract=f"Courts {number}.")
        for number in range(3)
    ]
    others = [Candidate(id=f"2601.0002{n}", title=f"Matter {n}", abstract=f"Quite {n}") for n in range(9)]
    made = [*splats, *texts, *others]
    liking = Profile(liked=(splats[0].id,))
    ranked = rank(liking, Corpus.build(made), {})
    assert {one.id for one in ranked[:2]} == {splats[1].id, splats[2].id}
    assert ranked[0].reasons == ("similar to Gaussian splatting of scenes, which you liked",)
    both = Profile(
        interests=(Interest(name="All", phrases=("splats", "language models")),), disliked=(splats[0].id,)
    )
    ranked = rank(both, Corpus.build(made), {})
    assert {one.id for one in ranked[:3]} == {one.id for one in texts}


def test_alike_papers_do_not_fill_the_list() -> None:
    twins = [
        Candidate(id=f"2601.0000{number}", title="Owls of the night", abstract="Owls, owls, owls at night.")
        for number in range(6)
    ]
    other = Candidate(id="2601.00010", title="Owls by day", abstract="Feathers, food, flight and rest.")
    wish = Profile(interests=(Interest(name="Owls", phrases=("owls",)),))
    fitting = select([wish], Corpus.build([*twins, other]), {}, counts=[6])[0].for_you
    assert "2601.00010" in [one.id for one in fitting]


def test_many_people_are_chosen_for_as_each_alone() -> None:
    made = birds(60)
    corpus, trends = Corpus.build(made), trending(made)
    wishes = [("owls",), ("lark",), ("things", "owls"), ()]
    profiles = [
        Profile(
            interests=(Interest(name="W", phrases=wishes[number % 4]),),
            seen=frozenset(one.id for one in made[number % 7 :: 7]),
        )
        for number in range(1100)
    ]
    counts = [number % 12 for number in range(1100)]
    together = select(profiles, corpus, trends, counts=counts)
    for number in (0, 1, 500, 1023, 1024, 1099):
        assert together[number] == select([profiles[number]], corpus, trends, counts=[counts[number]])[0]


def test_the_same_interest_under_two_names_keeps_both_names() -> None:
    made = birds()
    owls = Interest(name="Owls", phrases=("owls",))
    people = [Profile(interests=(owls,)), Profile(interests=(replace(owls, name="Nachteulen"),))]
    one, other = select(people, Corpus.build(made), trending(made), counts=[10, 10])
    assert {entry.interest for entry in one.for_you} == {"Owls"}
    assert {entry.interest for entry in other.for_you} == {"Nachteulen"}


OWLS = Profile(interests=(Interest(name="Owls", phrases=("owls",)),))


def explore(profile: Profile, count: int = 10, seed: int = 3) -> Selection:
    made = birds(120)
    return select([profile], Corpus.build(made), trending(made), counts=[count], seeds=[seed])[0]


def test_one_paper_off_the_interests_stands_last_and_says_so() -> None:
    chosen = explore(OWLS)
    found = chosen.exploration
    assert found is not None
    assert found.is_exploration
    assert found.reasons[0] == OFF_INTERESTS
    assert found.reasons[1].endswith("votes")
    assert int(found.id[-5:]) % 3 != 0  # no owls in it
    assert [papers[-1] for name, papers in chosen.lists if name == "for_you"] == [found]
    assert sum(len(papers) for _, papers in chosen.lists) == 10
    assert explore(OWLS) == chosen


def test_nobody_is_surprised_who_does_not_want_it() -> None:
    unwilling = [
        replace(OWLS, explores=False),
        replace(OWLS, mutes=("interests",)),  # a word of its label
        Profile(),
    ]
    assert [explore(one).exploration for one in unwilling] == [None] * 3
    assert explore(OWLS, count=7).exploration is None
    assert choose(OWLS, birds(120)).exploration is None  # nobody drew


def test_a_paper_off_the_interests_stands_among_what_trends_where_nothing_else_fits() -> None:
    chosen = explore(Profile(interests=(Interest(name="Last", phrases=("owls 117",)),)))
    assert chosen.for_you == ()
    assert dict(chosen.lists)["trending"][-1] == chosen.exploration


def test_the_order_of_a_list_is_that_of_fit() -> None:
    made = birds(120)
    corpus = Corpus.build(made)
    chosen = select([OWLS], corpus, {}, counts=[12])[0].for_you
    scores = match(corpus, OWLS.interests[0]).scores
    places = [corpus.index[one.id] for one in chosen]
    assert len({float(scores[place]) for place in places}) > 1
    assert places == sorted(places, key=lambda place: (-scores[place], -place))
