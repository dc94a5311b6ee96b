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

# A ring nobody heard for so long is dropped, as the next tick rings anyway: queues can't pile up.
STALE_SECONDS = 50


def queue_for(task: str, arguments: Sequence[int | str] = ()) -> str:
    """Return the queue of a task; ``mail.deliver`` waits in the queue it is to empty.

    Raises:
        ValueError: there is no such task, or no such queue.
    """
    queue = f"mail.{arguments[0]}" if task == "mail.deliver" and arguments else _QUEUE_OF_TASK.get(task)
    if queue not in QUEUES:
        raise ValueError(f"no task {task!r} with {tuple(arguments)!r}")
    return queue


def expires_after(task: str) -> int | None:
    """Return the seconds after which an unheard ring is dropped; None for one that no tick repeats."""
    return None if task == "digests.plan_first" else STALE_SECONDS
