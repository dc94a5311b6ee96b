"""Choosing for many at once gives what choosing for each alone, step by step, gives."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.ranking import groups, turns
from service.ranking.corpus import Ints
from service.ranking.orders import Order, OrderTable
from tests.unit.ranking.plain_choice import Person, choose_plainly

Case = tuple[groups.Field, groups.Group, list[Person]]


def a_world(seed: int, *, papers: int, people: int, count: int, width: int) -> Case:
    """Make people at random: interests that overlap, papers seen, a few authors with many papers."""
    chance = np.random.default_rng(seed)
    heat = np.where(chance.random(papers) < 0.8, chance.random(papers).round(1), 0)
    hottest = np.lexsort((-np.arange(papers), -heat))
    authors = chance.integers(-1, max(papers // 2, 1), papers)
    table = OrderTable(papers, min(width, papers))
    orders: list[tuple[list[int], set[int], list[np.float32]]] = [([], set(), [])]
    for _ in range(6):
        columns = chance.permutation(papers)[: chance.integers(0, papers + 1)]
        followed = chance.random(len(columns)) < chance.choice([0.0, 0.1])
        worths = -np.sort(-chance.random(len(columns)).astype(np.float32).round(1))
        table.add(Order(columns.astype(np.int32), followed, worths))
        orders.append((columns.tolist(), set(columns[followed].tolist()), [*worths]))
    sketches = chance.normal(size=(papers, 3)).astype(np.float32)
    sketches /= np.linalg.norm(sketches, axis=1, keepdims=True)
    alike = np.pad(np.clip(sketches @ sketches.T, 0, 1), ((0, 1), (0, 1)))
    field = groups.Field(
        table=table,
        hottest=hottest[heat[hottest] > 0].astype(np.int32),
        first_authors=authors.astype(np.int32),
        alike=lambda columns: (alike, np.where(columns < 0, papers, columns)),
    )
    group, persons = some_people(chance, table, orders, people, count)
    return field, group, persons


def some_people(
    chance: np.random.Generator,
    table: OrderTable,
    orders: list[tuple[list[int], set[int], list[np.float32]]],
    people: int,
    count: int,
) -> tuple[groups.Group, list[Person]]:
    end = table.end
    numbers = chance.integers(0, len(orders), (people, 3))
    weights = chance.choice(np.array([0.1, 0.5, 1], np.float32), numbers.shape) * (numbers > 0)
    closed = chance.random((people, end + 1)) < chance.choice([0.0, 0.2, 0.9], (people, 1))
    closed[:, end] = True
    own = is_fused = worse = seeds = None
    if chance.random() < 0.5:
        own = np.maximum(chance.normal(size=(people, end)), 0).round(1).astype(np.float32)
        is_fused = chance.random(people) < 0.5
    if chance.random() < 0.5:
        worse = chance.random((people, end + 1)) < 0.3
    if chance.random() < 0.7:
        seeds = chance.integers(0, 2**60, people).astype(np.uint64)
    explores = chance.random(people) < 0.8
    group = groups.Group(
        count=count, closed=closed, numbers=numbers, weights=weights, own=own, is_fused=is_fused,
        worse=worse, seeds=seeds, explores=explores,
    )  # fmt: skip
    persons = [
        Person(
            count=count,
            closed=set(np.flatnonzero(closed[row]).tolist()),
            orders=[orders[number] for number in numbers[row]],
            weights=list(weights[row]),
            own=None if own is None else list(own[row]),
            is_fused=is_fused is not None and bool(is_fused[row]),
            worse=set() if worse is None else set(np.flatnonzero(worse[row]).tolist()),
            seed=int(seeds[row]) if seeds is not None and explores[row] else None,
        )
        for row in range(people)
    ]
    return group, persons


WORLDS = st.builds(
    a_world,
    st.integers(0, 2**32),
    papers=st.integers(1, 90),
    people=st.integers(1, 12),
    count=st.integers(1, 14),
    width=st.integers(1, 60),
)


def listed(row: "np.typing.NDArray[np.int32]") -> list[int]:
    return [column for column in row.tolist() if column >= 0]


@settings(max_examples=150, deadline=None)
@given(WORLDS)
def test_arrays_choose_as_the_plain_loop_does(case: Case) -> None:
    field, group, persons = case
    before = group.closed.copy()
    chosen = turns.choose(field, group)
    alike, _ = field.alike(np.array([[0]], np.int32))
    for row, person in enumerate(persons):
        plain = choose_plainly(person, field.hottest.tolist(), field.first_authors.tolist(), alike)
        arrays = listed(chosen.trending[row]), listed(chosen.for_you[row]), int(chosen.explored[row])
        assert arrays == plain
    assert (group.closed == before).all()


@settings(max_examples=100, deadline=None)
@given(WORLDS)
def test_every_interest_with_papers_has_its_place_where_there_are_enough(case: Case) -> None:
    """Unless all that is left of it is by somebody who stands twice in the list already."""
    field, group, persons = case
    chosen = turns.choose(field, group)
    for row, person in enumerate(persons):
        given = {*listed(chosen.trending[row]), *listed(chosen.for_you[row])}
        authors = [field.first_authors[one] for one in (*given, int(chosen.explored[row])) if one >= 0]
        lists = [columns for columns, _, _ in person.orders]
        if person.own is not None:
            lists.append([column for column, score in enumerate(person.own) if score > 0])
        wishes = [{*columns} - person.closed for columns in lists]
        if person.own is not None and sum(map(bool, wishes)) > person.count:
            wishes.pop()  # what was learned makes way for what was said
        if sum(map(bool, wishes)) > person.count:
            continue
        for wish in filter(None, wishes):
            can_have = [one for one in wish if authors.count(field.first_authors[one]) < 2]
            assert wish & given or not can_have


@settings(max_examples=60, deadline=None)
@given(WORLDS)
def test_the_paper_off_the_interests_is_off_all_of_them(case: Case) -> None:
    field, group, persons = case
    chosen = turns.choose(field, group)
    for row, person in enumerate(persons):
        explored = int(chosen.explored[row])
        if explored >= 0:
            assert person.seed is not None
            assert explored not in person.closed | person.worse
            assert not any(explored in columns for columns, _, _ in person.orders)
            assert group.count >= groups.EXPLORING_LEAST


def test_another_day_draws_another_paper_and_the_same_day_the_same() -> None:
    field = a_field(90, [range(80, 90)], hottest=np.arange(90, dtype=np.int32))
    group = groups.Group(
        count=10,
        closed=np.arange(91)[None, :] == 90,
        numbers=np.array([[1]]),
        weights=np.ones((1, 1), np.float32),
        explores=np.array([True]),
    )
    days = [replace(group, seeds=np.array([day], np.uint64)) for day in range(groups.EXPLORED)]
    drawn = [int(turns.choose(field, day).explored[0]) for day in days]
    assert len(set(drawn)) == groups.EXPLORED
    assert [int(turns.choose(field, day).explored[0]) for day in days] == drawn


def a_field(papers: int, orders: Sequence[range], hottest: Ints) -> groups.Field:
    """Make papers by different people, none like another."""
    table = OrderTable(papers, min(papers, 90))
    for columns in orders:
        size = len(columns)
        table.add(Order(np.array(columns, np.int32), np.zeros(size, np.bool_), np.ones(size, np.float32)))
    zeros = np.zeros((papers + 1, papers + 1), np.float32)
    return groups.Field(
        table=table,
        hottest=hottest,
        first_authors=np.full(papers, -1, np.int32),
        alike=lambda columns: (zeros, np.where(columns < 0, papers, columns)),
    )


@pytest.mark.parametrize("weights", [(1.0, 1.0, 1.0), (1.0, 0.5, 0.25)])
def test_places_are_shared_by_weight(weights: tuple[float, float, float]) -> None:
    orders = [range(start, start + 100) for start in (0, 100, 200)]
    field = a_field(300, orders, hottest=np.empty(0, np.int32))
    group = groups.Group(
        count=28,
        closed=np.arange(301)[None, :] == 300,
        numbers=np.array([[1, 2, 3]]),
        weights=np.array([weights], np.float32),
    )
    chosen = listed(turns.choose(field, group).for_you[0])
    counts = np.bincount(np.array(chosen) // 100)
    assert counts == pytest.approx(28 * np.array(weights) / sum(weights), abs=1)
