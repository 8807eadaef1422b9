"""Computing the requests that wait at one time as one batch."""

from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any, NamedTuple

from zoo.serve.worker import Worker

MOST_AT_ONCE = 1_000_000  # symbols of a batch, with padding


class Job(NamedTuple):
    """A request: its inputs, and what maps inputs to as many answers."""

    key: Hashable  # jobs of one key can be computed together; None: alone
    inputs: list[Any]
    compute: Callable[[list[Any]], list[Any]]
    future: "Future[list[Any]]"

    @property
    def longest(self) -> int:
        """The length of the longest input."""
        return max(map(length_of, self.inputs))


class Batcher(Worker[Job]):
    """Computes requests to one model, in a thread."""

    def submit(self, key: Hashable, inputs: list[Any], compute: Callable[[list[Any]], list[Any]]) -> "Future[Any]":
        """Adds a request; the future gives its answers.

        Raises:
            BusyError: If too many are waiting.
        """
        job = Job(key, inputs, compute, Future())
        self.add(job)
        return job.future

    def _work(self, taken: list[Job]) -> None:
        jobs = [job for job in taken if job.future.set_running_or_notify_cancel()]
        if len(jobs) < 2 or not _compute(jobs):
            for job in jobs:  # one by one, so that an error is that of its own request
                _compute([job], last=True)

    def _take(self) -> list[Job]:
        """Takes the first waiting job, and others that can be computed with it."""
        found = [self.waiting.popleft()]
        rows, longest = len(found[0].inputs), found[0].longest
        for job in list(self.waiting):
            if found[0].key is None:
                break
            if job.key == found[0].key and (rows + len(job.inputs)) * max(longest, job.longest) <= MOST_AT_ONCE:
                self.waiting.remove(job)
                found.append(job)
                rows, longest = rows + len(job.inputs), max(longest, job.longest)
        return found


def length_of(value: Any) -> int:
    """How long an input is; a table is as long as its longest column."""
    if isinstance(value, dict):
        return max(map(length_of, value.values()), default=0)
    return len(value) if hasattr(value, "__len__") else 1


def _compute(jobs: list[Job], last: bool = False) -> bool:
    """Computes some jobs as one; returns whether it succeeded. With `last`, an error is the answer."""
    try:
        inputs = [one for job in jobs for one in job.inputs]
        answers = jobs[0].compute(inputs)
        if len(answers) != len(inputs):
            raise ValueError(f"got {len(inputs)} inputs, and {len(answers)} answers")
    except Exception as error:
        if last:
            jobs[0].future.set_exception(error)
        return False
    place = 0
    for job in jobs:
        job.future.set_result(answers[place : place + len(job.inputs)])
        place += len(job.inputs)
    return True
