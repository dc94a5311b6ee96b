"""The catalogue of topics and arXiv's taxonomy."""

import csv
import re
from itertools import groupby
from pathlib import Path

import pytest

from service.papers.taxonomy import ALIASES, CATEGORIES, fold_category
from service.subscribers.topics import CATALOGUE, Topic, topic_by_name, topic_by_slug

TOPIC = pytest.mark.parametrize("topic", CATALOGUE, ids=lambda topic: topic.slug)


def _folded(phrase: str) -> str:
    return phrase.replace("-", " ")


def test_slugs_and_names_are_unique_and_groups_stand_together() -> None:
    assert len({topic.slug for topic in CATALOGUE}) == len(CATALOGUE) >= 45
    assert len({topic.name.casefold() for topic in CATALOGUE}) == len(CATALOGUE)
    groups = [group for group, _ in groupby(CATALOGUE, key=lambda topic: topic.group)]
    assert len(groups) == len(set(groups)) >= 8


@TOPIC
def test_topic_is_well_formed(topic: Topic) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", topic.slug)
    assert len(topic.slug) <= 64
    assert len(topic.name) <= 60
    assert topic.description.endswith(".")
    assert "\n" not in topic.description
    assert 4 <= len(topic.phrases) <= 10
    assert len({_folded(phrase) for phrase in topic.phrases}) == len(topic.phrases)
    for phrase in topic.phrases:
        assert re.fullmatch(r"[a-z0-9]+([ -][a-z0-9]+)*", phrase), phrase
    for code in topic.categories:
        assert fold_category(code) == code, f"{code} is no active category, or an alias"


@TOPIC
def test_topic_is_found_by_slug_and_by_name(topic: Topic) -> None:
    assert topic_by_slug(topic.slug) is topic
    assert topic_by_name(f"  {topic.name.upper()} ") is topic


def test_unknown_topics_are_none() -> None:
    assert topic_by_slug("no-such-topic") is None
    assert topic_by_name("LLM reasoning, and more") is None


def test_no_phrase_stands_for_two_topics() -> None:
    owners: dict[str, list[str]] = {}
    for topic in CATALOGUE:
        for phrase in topic.phrases:
            owners.setdefault(_folded(phrase), []).append(topic.slug)
    assert {phrase: slugs for phrase, slugs in owners.items() if len(slugs) > 1} == {}


def test_taxonomy_counts_and_folding() -> None:
    assert len(CATEGORIES) == 155
    assert fold_category("cs.SY") == "eess.SY"
    assert fold_category("math.mp") == "math-ph"
    assert fold_category(" CS.lg ") == "cs.LG"
    assert fold_category("cmp-lg") == "cs.CL"
    assert fold_category("68T05") is None
    assert fold_category("I.2.7") is None
    assert all(fold_category(alias) == code for alias, code in ALIASES.items())
    assert all(fold_category(code) == ALIASES.get(code, code) for code in CATEGORIES)


@pytest.mark.data
def test_taxonomy_is_arxivs(recorded_data: Path) -> None:
    path = recorded_data / "reference" / "arxiv_taxonomy" / "categories.csv"
    with path.open(encoding="utf-8") as lines:
        active = {row["code"]: row["name"] for row in csv.DictReader(lines) if row["is_active"] == "True"}
    assert active == CATEGORIES


@pytest.mark.data
def test_topics_of_machine_learning_match_some_papers_and_none_matches_most(recorded_data: Path) -> None:
    import gzip
    import json

    texts = []
    with gzip.open(recorded_data / "hf_daily" / "papers.jsonl.gz", "rt") as lines:
        for line in lines:
            row = json.loads(line)
            if (row["list_date"] or "") >= "2026-01-01":
                paper = row["paper"]
                text = " . ".join([paper["title"], paper["summary"], *(paper.get("ai_keywords") or [])])
                texts.append(f" {re.sub(r'[^a-z0-9]+', ' ', text.lower())} ")
    for topic in CATALOGUE:
        pattern = re.compile(rf" ({'|'.join(map(re.escape, map(_folded, topic.phrases)))})(s|es)? ")
        share = sum(bool(pattern.search(text)) for text in texts) / len(texts)
        assert share < 0.3, (topic.slug, share)
        if topic.group != "Physics, mathematics and economics":
            assert share > 0.002, (topic.slug, share)
