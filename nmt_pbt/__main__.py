"""`python -m nmt_pbt`: the same as `nmt-pbt`."""

from __future__ import annotations

from nmt_pbt.cli.main import main

if __name__ == "__main__":
    main()
