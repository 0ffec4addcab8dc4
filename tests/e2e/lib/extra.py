"""One more of the cluster's programs for one test: started as the bed starts its own, on other ports."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from lib.bed import Bed
from lib.poll import until

NOBODY = 65534


class Extra:
    """What an extra vtgate and an extra vtctld have in common. A kind of it says what its command is and whether it
    answers."""

    kind = ""

    def __init__(self, bed: Bed):
        self.bed = bed
        self.folder = Path()
        self._process: subprocess.Popen | None = None

    def command(self) -> list[str]:
        raise NotImplementedError

    def answers(self) -> bool:
        raise NotImplementedError

    def __enter__(self):
        # The servers run as another user when the tests run as root: the folder is for everybody.
        self.folder = Path(tempfile.mkdtemp(prefix=f"e2e-{self.kind}-"))
        self.folder.chmod(0o777)
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop(kill=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self) -> None:
        """Starts it and returns when it answers."""
        command = self.command()
        identity = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
        with open(self.folder / "log", "ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
                env={"PATH": os.defpath, "HOME": str(self.folder), "VTDATAROOT": str(self.folder)}, **identity)
        until(self._answers, f"the extra {self.kind} answers", 40, pause=0.1)

    def _answers(self) -> bool:
        log = (self.folder / "log").read_text(errors="replace")
        assert self._process.poll() is None, f"{self.kind} ended at once:\n{log[-3000:]}"
        return self.answers()

    def stop(self, kill: bool = False) -> None:
        if self._process is None:
            return
        if kill:
            self._process.kill()
        else:
            self._process.terminate()
        self._process.wait(20)
        self._process = None
