"""nmt-pbt: an attention LSTM translator, tuned by Population Based Training, compared with other searches."""

from __future__ import annotations

__version__ = "0.1.0"
