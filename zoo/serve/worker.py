"""Threads that compute what requests ask for."""

import threading
from abc import ABC, abstractmethod
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class BusyError(Exception):
    """There are too many requests."""


class Worker(ABC, Generic[T]):
    """A thread with things that wait for it.

    Args:
        most: Things that may wait, or be worked on.
    """

    def __init__(self, most: int) -> None:
        self.most, self.waiting = most, deque[T]()
        self.changed, self.stopping = threading.Condition(), False
        self.thread = threading.Thread(target=self._run, name=type(self).__name__, daemon=True)
        self.thread.start()

    def add(self, thing: T) -> None:
        """Adds a thing.

        Raises:
            BusyError: If too many are waiting.
        """
        with self.changed:
            if len(self.waiting) + self.count() >= self.most:
                raise BusyError
            self.waiting.append(thing)
            self.changed.notify()

    def stop(self) -> None:
        """Ends the thread, after all is done."""
        with self.changed:
            self.stopping = True
            self.changed.notify()
        self.thread.join()

    def _run(self) -> None:
        while True:
            with self.changed:
                while not self.waiting and not self.count():
                    if self.stopping:
                        return
                    self.changed.wait()
                taken = self._take()
            self._work(taken)

    def count(self) -> int:
        """How many things are worked on over several rounds."""
        return 0

    @abstractmethod
    def _take(self) -> list[T]:
        """Takes some of what waits."""

    @abstractmethod
    def _work(self, taken: list[T]) -> None:
        """Does a round of work."""
