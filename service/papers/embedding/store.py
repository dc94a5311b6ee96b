"""Keeps the vectors of papers: computed once for each paper and model, and anew when its text has changed."""

import hashlib
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from itertools import islice
from typing import Any

import numpy as np
from sqlalchemy import and_, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from service.database import Database
from service.papers.embedding.embedder import Embedder, Vectors
from service.papers.tables import PaperRow, PaperVectorRow
from service.progress import Progress, no_progress

# Half the bytes; what they lose is a tenth of what the model's 8-bit weights lose.
KEPT_AS = np.dtype("<f2")
HASH_BYTES = 16
CHUNK = 32  # papers in a transaction, some seconds of work: so much is lost when a worker is killed
IDS_AT_ONCE = 5_000
VECTORS: Any = PaperVectorRow.__table__


def paper_text(*, title: str, abstract: str, summary: str | None = None) -> str:
    """Give what the model reads of a paper: title and abstract; the summary where there is no abstract."""
    return f"{title}. {abstract or summary or ''}".strip()


def missing(session: Session, model: str, limit: int | None = None) -> list[str]:
    """Give the ids of papers that have no vector of their present text by ``model``, newest first."""
    with closing(_outstanding(session, model)) as outstanding:
        return [id_ for id_, _ in islice(outstanding, limit)]


def embed_missing(
    database: Database,
    embedder: Embedder,
    *,
    progress: Progress = no_progress,
    should_stop: Callable[[], bool] = lambda: False,
) -> int:
    """Embed what is missing, newest papers first; return how many papers were embedded.

    Stops between two chunks when ``should_stop`` says so; what is done is kept. Several processes at it
    share the work, as each looks again before it begins a chunk.
    """
    with database.reading() as session:
        ids = missing(session, embedder.model)
    count = 0
    for start in range(0, len(ids), CHUNK):
        if should_stop():
            break
        with database.reading() as session:
            texts = dict(_outstanding(session, embedder.model, ids[start : start + CHUNK]))
        vectors = embedder.embed(list(texts.values()))
        with database.transaction() as session:
            _keep(session, embedder.model, texts, vectors)
        count += len(texts)
        progress(min(start + CHUNK, len(ids)), len(ids), "papers embedded")
    return count


def load_vectors(session: Session, ids: Sequence[str], model: str) -> tuple[list[str], Vectors]:
    """Give those of ``ids`` that have a vector by ``model``, in their order, and one row for each.

    With none, the matrix has the shape (0, 0).
    """
    wanted = list(dict.fromkeys(ids))
    found: dict[str, bytes] = {}
    for start in range(0, len(wanted), IDS_AT_ONCE):
        query = select(VECTORS.c.paper_id, VECTORS.c.vector).where(
            VECTORS.c.model == model, VECTORS.c.paper_id.in_(wanted[start : start + IDS_AT_ONCE])
        )
        found.update(session.execute(query).all())
    known = [id_ for id_ in wanted if id_ in found]
    if not known:
        return [], np.empty((0, 0), np.float32)
    numbers = np.frombuffer(b"".join([found[id_] for id_ in known]), KEPT_AS)
    return known, numbers.reshape(len(known), -1).astype(np.float32)


def count_vectors(session: Session) -> dict[str, int]:
    """Count the vectors kept of each model."""
    counts = select(VECTORS.c.model, func.count()).group_by(VECTORS.c.model).order_by(VECTORS.c.model)
    return dict(session.execute(counts).all())


def forget_others(session: Session, model: str) -> int:
    """Delete the vectors of every model but ``model``; return how many there were."""
    result = session.execute(delete(VECTORS).where(VECTORS.c.model != model))
    return int(result.rowcount)  # type: ignore[attr-defined]


def _outstanding(
    session: Session, model: str, ids: Sequence[str] | None = None
) -> Generator[tuple[str, str]]:
    """Give id and text of the papers, or of those of ``ids``, whose present text has no vector."""
    of_model = and_(VECTORS.c.paper_id == PaperRow.id, VECTORS.c.model == model)
    query = (
        select(PaperRow.id, PaperRow.title, PaperRow.abstract, PaperRow.summary, VECTORS.c.text_hash)
        .outerjoin(VECTORS, of_model)
        .order_by(PaperRow.first_seen_at.desc(), PaperRow.id)
    )
    if ids is not None:
        query = query.where(PaperRow.id.in_(ids))
    # Texts are compared here, by their hash: no database says in SQL whether a text has changed since.
    with session.execute(query.execution_options(yield_per=1_000)) as rows:
        for id_, title, abstract, summary, known in rows:
            text = paper_text(title=title, abstract=abstract, summary=summary)
            if known is None or bytes(known) != text_hash(text):
                yield id_, text


def text_hash(text: str) -> bytes:
    """Give 16 bytes that stand for a text."""
    return hashlib.blake2b(text.encode(errors="replace"), digest_size=HASH_BYTES).digest()


def _keep(session: Session, model: str, texts: Mapping[str, str], vectors: Vectors) -> None:
    if not texts:
        return
    rows = [
        {"paper_id": id_, "model": model, "text_hash": text_hash(text), "vector": vector.tobytes()}
        for (id_, text), vector in zip(texts.items(), vectors.astype(KEPT_AS), strict=True)
    ]
    # Two processes then wait for each other instead of deadlocking.
    rows.sort(key=lambda row: str(row["paper_id"]))
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    statement = dialect.insert(VECTORS)
    new = {"text_hash": statement.excluded.text_hash, "vector": statement.excluded.vector}
    session.execute(
        statement.on_conflict_do_update(index_elements=[VECTORS.c.paper_id, VECTORS.c.model], set_=new), rows
    )
