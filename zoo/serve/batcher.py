"""Computing the requests that wait at one time as one batch."""

from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any, NamedTuple

from zoo.serve.worker import Worker

MOST_INPUTS = 256  # of a batch


class Job(NamedTuple):
    """A request: its inputs, and what maps inputs to as many answers."""

    key: Hashable  # jobs of one key can be computed together; None: alone
    inputs: list[Any]
    compute: Callable[[list[Any]], list[Any]]
    future: "Future[list[Any]]"


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
        size = len(found[0].inputs)
        for job in list(self.waiting):
            size += len(job.inputs)
            if found[0].key is None or size > MOST_INPUTS:
                break
            if job.key == found[0].key:
                self.waiting.remove(job)
                found.append(job)
        return found


def _compute(jobs: list[Job], last: bool = False) -> bool:
    """Computes some jobs as one; returns whether it succeeded. With `last`, an error is the answer."""
    try:
        answers = jobs[0].compute([one for job in jobs for one in job.inputs])
    except Exception as error:
        if last:
            jobs[0].future.set_exception(error)
        return False
    place = 0
    for job in jobs:
        job.future.set_result(answers[place : place + len(job.inputs)])
        place += len(job.inputs)
    return True
