"""Which test process runs which file.

Schema changes run one at a time on a cluster: of its processes one takes the files that make them, one after the other, the
others what does not, so that nobody waits for the place. xdist's own order, by the number of tests in a file, began the slow
ones last.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Sequence

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController


def number(node: WorkerController) -> int:
    return int(node.gateway.id.removeprefix("gw"))


class Lanes(LoadFileScheduling):
    """The first processes, one for each cluster, take the files of `first` in that order, and then, as all others do, the
    rest, those with most tests first."""

    def __init__(self, config: pytest.Config, log: Producer | None, clusters: int, first: Sequence[str]):
        super().__init__(config, log)
        self._clusters, self._first = clusters, first

    @property
    def nodes(self) -> list[WorkerController]:
        """In their own order, not in that in which they became ready: the first file is for the first cluster."""
        return sorted(super().nodes, key=number)

    def schedule(self) -> None:
        self.config.option.loadscopereorder = False
        super().schedule()

    def _takes_first(self, node: WorkerController) -> bool:
        return number(node) % self.numnodes < self._clusters

    def _choose(self, node: WorkerController) -> str | None:
        """The next file for the process."""
        files = {PurePosixPath(scope).stem: scope for scope in self.workqueue}
        if self._takes_first(node):
            for name in self._first:
                if name in files:
                    return files[name]
        rest = [scope for name, scope in files.items() if name not in self._first]
        return max(rest, key=lambda scope: len(self.workqueue[scope]), default=None)

    def _assign_work_unit(self, node: WorkerController) -> None:
        scope = self._choose(node)
        if scope is None:
            node.shutdown()
            return
        self.workqueue.move_to_end(scope, last=False)
        super()._assign_work_unit(node)

    def _reschedule(self, node: WorkerController) -> None:
        # Before its last test a process has to know what comes next; until then another may be free earlier.
        if not node.shutting_down and self.workqueue and self._pending_of(self.assigned_work[node]) > 1:
            return
        super()._reschedule(node)
