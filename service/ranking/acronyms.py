"""Short forms and what they stand for, read from the papers themselves: "large language model (LLM)"."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from service.ranking.text import STOPWORDS, plain, stem, words
from service.ranking.values import Candidate

LEAST_PAPERS = 2  # that give the same long form
LOOKED_BACK = 140  # characters before the bracket in which the long form must stand
_BRACKETED = re.compile(r"\(([A-Z0-9][A-Za-z0-9-]{1,9})\)")
_WORD = re.compile(r"[A-Za-z0-9]+")

# Where too few papers of a window explain them: the everyday ones of the field.
KNOWN = {
    "ai": "artificial intelligence",
    "cot": "chain of thought",
    "dlm": "diffusion language model",
    "dpo": "direct preference optimization",
    "gan": "generative adversarial network",
    "gnn": "graph neural network",
    "grpo": "group relative policy optimization",
    "gui": "graphical user interface",
    "kv": "key value",
    "llm": "large language model",
    "lmm": "large multimodal model",
    "lrm": "large reasoning model",
    "lvlm": "large vision language model",
    "mcts": "monte carlo tree search",
    "mllm": "multimodal large language model",
    "moe": "mixture of experts",
    "nerf": "neural radiance field",
    "nlp": "natural language processing",
    "ocr": "optical character recognition",
    "ood": "out of distribution",
    "peft": "parameter efficient fine tuning",
    "rag": "retrieval augmented generation",
    "rl": "reinforcement learning",
    "rlhf": "reinforcement learning from human feedback",
    "rlvr": "reinforcement learning with verifiable rewards",
    "sft": "supervised fine tuning",
    "slam": "simultaneous localization and mapping",
    "slm": "small language model",
    "ssm": "state space model",
    "tts": "text to speech",
    "vit": "vision transformer",
    "vla": "vision language action",
    "vlm": "vision language model",
    "vln": "vision and language navigation",
    "vqa": "visual question answering",
}

Stems = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Acronyms:
    """Long forms by their short form (folded, singular), and short forms by the stems of the long one."""

    long: dict[str, tuple[str, ...]]
    short: dict[Stems, str]

    @classmethod
    def read(cls, papers: Iterable[Candidate]) -> Self:
        """Read what ``papers`` explain in brackets; the form that most of them give counts."""
        given: dict[str, Counter[Stems]] = defaultdict(Counter)
        written: dict[tuple[str, Stems], tuple[str, ...]] = {}
        for paper in papers:
            texts = (paper.title, paper.summary, paper.abstract)
            for short, form in {one for text in texts if "(" in text for one in _explained(text)}:
                stems = tuple(map(stem, form))
                given[short][stems] += 1
                written.setdefault((short, stems), form)
        long = {short: tuple(form.split()) for short, form in KNOWN.items()}
        for short, forms in sorted(given.items()):
            stems, count = min(forms.items(), key=lambda entry: (-entry[1], entry[0]))
            if count >= LEAST_PAPERS:
                long[short] = written[short, stems]
        # Of several short forms, the one that comes first in the alphabet: all are right.
        back = {tuple(map(stem, form)): short for short, form in sorted(long.items(), reverse=True)}
        return cls(long, back)

    def spelled_out(self, written: Sequence[str]) -> list[str]:
        """Give the words of a phrase with each short form replaced by the long one."""
        result: list[str] = []
        for word in written:
            result += self.long.get(word) or self.long.get(plain(word)) or (word,)
        return result

    def shortened(self, written: Sequence[str]) -> Iterator[list[str]]:
        """Give the words of a phrase with a long form in it replaced by the short one, each in turn."""
        stems = [stem(word) for word in written]
        for start in range(len(stems)):
            for end in range(start + 2, len(stems) + 1):
                if (short := self.short.get(tuple(stems[start:end]))) is not None:
                    yield [*written[:start], short, *written[end:]]


def _explained(text: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Give the short forms in brackets that stand right behind words with their initials."""
    for found in _BRACKETED.finditer(text):
        short = re.sub(r"(?<=[A-Z0-9])s$", "", found[1]).replace("-", "").lower()
        before = _WORD.findall(text[max(found.start() - LOOKED_BACK, 0) : found.start()])
        form = before[-len(short) :]
        # A word in common use ("was", "all") is no short form, whatever its letters fit.
        if len(short) > 1 and short not in STOPWORDS and "".join(word[0] for word in form).lower() == short:
            folded = tuple(word for one in form for word in words(one))
            yield plain(short), folded
