"""Makes the parts of the documents that are not written by hand.

python docs/make            writes docs/settings.md, the blocks of docs/results.md, and the figures of docs/pbt.md
python docs/make texts      writes the texts alone, which takes seconds
python docs/make deceptive  draws this figure alone, or those that are named
python docs/make --check    writes nothing; says which text is out of date, and fails
"""

from __future__ import annotations

import sys
from pathlib import Path

import result_blocks
import settings_reference

DOCS = Path(__file__).resolve().parents[1]


def texts() -> dict[Path, str]:
    """Return what documents ought to hold, by file."""
    written = (DOCS / "results.md").read_text(encoding="utf-8")
    return {
        DOCS / "settings.md": settings_reference.reference(),
        DOCS / "results.md": result_blocks.filled(written, DOCS.parent / "results"),
    }


def main() -> None:
    """Make the documents, or check them."""
    stale = [
        (path, text) for path, text in texts().items() if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    if sys.argv[1:] == ["--check"]:
        if stale:
            names = ", ".join(path.relative_to(DOCS.parent).as_posix() for path, _ in stale)
            sys.exit(f"out of date: {names}; run make docs")
        return
    names = sys.argv[1:]
    if not names or names == ["texts"]:
        for path, text in stale:
            path.write_text(text, encoding="utf-8")
    if names == ["texts"]:
        return
    import figures  # draws with the oracles, which takes seconds to import

    if not set(names) <= set(figures.FIGURES):
        sys.exit(f"{__doc__}\nThe figures are {', '.join(figures.FIGURES)}.")
    figures.write(DOCS / "figures", names)


if __name__ == "__main__":
    main()
