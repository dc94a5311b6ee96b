"""Names of the tasks and of the queues they wait in."""

from collections.abc import Sequence

PAPERS = "papers"
DIGESTS = "digests"
TRANSACTIONAL = "mail.transactional"
BULK = "mail.bulk"
QUEUES = (PAPERS, DIGESTS, TRANSACTIONAL, BULK)

_QUEUE_OF_TASK = {
    "papers.collect": PAPERS,
    "papers.embed": PAPERS,
    "digests.plan_due": DIGESTS,
    "digests.plan_first": DIGESTS,
    "mail.sweep": TRANSACTIONAL,
    "subscribers.expire": PAPERS,
    "inbound.poll": PAPERS,
}
TASKS = (*_QUEUE_OF_TASK, "mail.deliver")

# So many unheard rings are enough: each asks SQL what to do. Counted, not timed: a worker whose clock is
# a minute ahead of the scheduler's would hear none but stale ones.
FULL = 50


def queue_for(task: str, arguments: Sequence[int | str] = ()) -> str:
    """Return the queue of a task; ``mail.deliver`` waits in the queue it is to empty.

    Raises:
        ValueError: there is no such task, or no such queue.
    """
    queue = f"mail.{arguments[0]}" if task == "mail.deliver" and arguments else _QUEUE_OF_TASK.get(task)
    if queue not in QUEUES:
        raise ValueError(f"no task {task!r} with {tuple(arguments)!r}")
    return queue


def is_repeated(task: str) -> bool:
    """Say whether the next tick rings for ``task`` again, so that a ring may be left out."""
    return task != "digests.plan_first"
