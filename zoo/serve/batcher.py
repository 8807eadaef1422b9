"""Computing the requests that wait at one time as one batch."""

import threading
from collections import deque
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any, NamedTuple

from zoo.serve.writer import BusyError

MOST_INPUTS = 256  # of a batch


class Job(NamedTuple):
    """A request: its inputs, and what maps inputs to as many answers."""

    key: Hashable  # jobs of one key can be computed together; None: alone
    inputs: list[Any]
    compute: Callable[[list[Any]], list[Any]]
    future: "Future[list[Any]]"


class Batcher:
    """Computes requests to one model, in a thread.

    Args:
        most: Requests that may wait.
    """

    def __init__(self, most: int) -> None:
        self.most, self.waiting = most, deque[Job]()
        self.changed, self.stopping = threading.Condition(), False
        self.thread = threading.Thread(target=self._run, name="batcher", daemon=True)
        self.thread.start()

    def submit(self, key: Hashable, inputs: list[Any], compute: Callable[[list[Any]], list[Any]]) -> "Future[Any]":
        """Adds a request; the future gives its answers.

        Raises:
            BusyError: If too many are waiting.
        """
        job = Job(key, inputs, compute, Future())
        with self.changed:
            if len(self.waiting) >= self.most:
                raise BusyError
            self.waiting.append(job)
            self.changed.notify()
        return job.future

    def stop(self) -> None:
        """Ends the thread, after all requests are computed."""
        with self.changed:
            self.stopping = True
            self.changed.notify()
        self.thread.join()

    def _run(self) -> None:
        while True:
            with self.changed:
                while not self.waiting:
                    if self.stopping:
                        return
                    self.changed.wait()
                jobs = self._take()
            jobs = [job for job in jobs if job.future.set_running_or_notify_cancel()]
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
