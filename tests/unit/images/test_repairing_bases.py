"""A base that is missing may come with the repair of the platform, once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from aksci.core.errors import RegistryError
from aksci.images.repairing_bases import RepairingBases


class Platform:
    """Has no base before it was repaired."""

    def __init__(self, *, asking=1, helps=True):
        self.helps, self.repairs = helps, 0
        self._all_have_asked = threading.Barrier(asking)
        self._lock = threading.Lock()

    def digest(self, reference):
        if self.repairs and self.helps:
            return f"digest of {reference}"
        if not self.repairs:
            self._all_have_asked.wait(10)
        raise RegistryError(f"{reference} is not there")

    def repair(self):
        with self._lock:
            self.repairs = 1


def bases(platform):
    return RepairingBases(
        resolver=platform, repaired=lambda: bool(platform.repairs), repair=platform.repair
    )


def test_every_thread_that_missed_a_base_asks_again_once_it_is_repaired():
    resolve = bases(Platform(asking=4))
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(resolve.digest, "abcd")) == [f"digest of {name}" for name in "abcd"]


def test_what_a_repair_does_not_bring_is_an_error_and_nothing_is_repaired_again():
    platform = Platform(helps=False)
    resolve = bases(platform)
    for _ in range(2):
        with pytest.raises(RegistryError, match="a is not there"):
            resolve.digest("a")
        platform.repair = lambda: pytest.fail("it was repaired before")
