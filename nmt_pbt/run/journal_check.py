"""Checks that a journal can be resumed: the same decisions come out again, and results belong to trials under way."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nmt_pbt.base.errors import JournalError
from nmt_pbt.run.journal import without_times
from nmt_pbt.run.progress import Progress
from nmt_pbt.run.records import AnyRecord, Ended, Evaluated, SearchEnded, SearchStarted, StopRule


@dataclass(frozen=True)
class JournalCheck:
    """Compares the records of one search with what happens now.

    Attributes:
        journal: The file, to be named.
        start: The record that opens the search.
    """

    journal: Path
    start: SearchStarted

    def check_decision(self, recorded: AnyRecord, decided: AnyRecord) -> None:
        """Refuse a decision that does not come out as it was recorded.

        Args:
            recorded: In the journal.
            decided: Now.

        Raises:
            JournalError: They differ in more than time.
        """
        before, now = without_times(recorded), without_times(decided)
        for name, value in before.items():
            if now[name] != value:
                raise self.differs(f"{name} was {value} in the '{recorded.event}' record", f"it is {now[name]}")

    def check_result(self, record: Evaluated | Ended, progress: Progress | None) -> None:
        """Refuse a result which is not that of a trial under way.

        Args:
            record: The result.
            progress: Its trial; None if there is no such trial under way.

        Raises:
            JournalError: It cannot have happened here.
        """
        if progress is None:
            raise self.differs(f"trial {record.trial} was under way", "it is not")
        if isinstance(record, Ended):
            if not progress.over:
                raise self.differs(f"trial {record.trial} ended", f"it is at interval {progress.done}")
            return
        if progress.over or record.interval_index != progress.done:
            at = "over" if progress.over else f"at {progress.done}"
            raise self.differs(
                f"trial {record.trial} was evaluated after interval {record.interval_index}", f"it is {at}"
            )
        if (record.state is None) != (record.failure is not None):
            raise self.differs(f"trial {record.trial} failed and left a state, or neither", "it does one of them")
        if record.failure is None and record.metrics.get(self.start.objective) is None:
            raise self.differs(f"trial {record.trial} has no {self.start.objective}", "it is needed")

    def check_stop(self, record: SearchEnded, rule: StopRule | None) -> None:
        """Refuse the end of a search by another rule than the one that holds now.

        Raises:
            JournalError: They differ.
        """
        if record.rule != rule:
            before, now = (f"search.stop.{name}" if name is not None else "no rule" for name in (record.rule, rule))
            raise self.differs(f"{before} ended it", f"{now} does")

    def differs(self, recorded: str, now: str) -> JournalError:
        """Return the error for a record and what happens now."""
        return JournalError(
            f"{self.journal}: {self.start.method}, seed {self.start.seed}: {recorded}, and on replay {now}; "
            "resume with the settings and the program version that wrote it (see environment.json)"
        )
