"""Tell that a folder holds neither folders nor certain names, without reading it.

Where each folder's ``..`` counts as a link, a folder with two links holds no other folder: GNU find
and fts call this the leaf optimisation (findutils manual, "-noleaf"). The kernel keeps such counts
for the file systems below; of all others (btrfs has 1 everywhere, FUSE whatever its program says,
an overlay what its layers say) nothing is concluded.
"""

from __future__ import annotations

import os
import stat

__all__ = ["LeafFolders"]

_COUNTING = frozenset({"ext2", "ext3", "ext4", "tmpfs", "xfs"})
_EMPTY = 2
"""Links of a folder that holds no folder: its name, and its own ``.``."""
_MOUNTS = "/proc/self/mountinfo"


class LeafFolders:
    """Look at the folders of one walk.

    :param mounts: what is mounted, as proc(5) has it in ``mountinfo``; where there is none, as on
        macOS, nothing is concluded of any folder.
    """

    def __init__(self, mounts: str = _MOUNTS) -> None:
        self._devices = _counting_devices(mounts)

    def lacks(self, folder: str, names: frozenset[str]) -> bool:
        """Tell whether a folder surely holds no folder, and nothing of those names.

        ``False`` says nothing: it is to be read then.
        """
        if not self._devices:
            return False
        try:
            state = os.lstat(folder)
            leaf = state.st_nlink == _EMPTY and stat.S_ISDIR(state.st_mode)
            return (
                leaf
                and state.st_dev in self._devices
                and not any(_is_there(f"{folder}/{name}") for name in names)
            )
        except OSError:
            return False


def _is_there(path: str) -> bool:
    """Tell whether there is an entry of that name, were it a link that leads nowhere.

    :raises OSError: that can't be told.
    """
    try:
        os.lstat(path)
    except FileNotFoundError:
        return False
    return True


def _counting_devices(mounts: str) -> frozenset[int]:
    """Return the devices whose file systems count folders as links."""
    found: dict[int, str] = {}
    try:
        with open(mounts, encoding="utf-8", errors="surrogateescape") as lines:  # noqa: PTH123
            for line in lines:
                # proc(5): the device's numbers are third, and the kind follows a lone dash.
                head, _, tail = line.partition(" - ")
                major, _, minor = head.split(" ", 3)[2].partition(":")
                found[os.makedev(int(major), int(minor))] = tail.split(" ", 1)[0]
    except (OSError, ValueError, IndexError):
        return frozenset()
    return frozenset(device for device, kind in found.items() if kind in _COUNTING)
