"""How far a topic has got, or somebody who follows it.

As in Centrifugo's streams: the sequence rises by one with each stored event, and the epoch changes when the
store lost the topic, so that numbers of two lives of a topic are never compared.
"""

from __future__ import annotations

from typing import NamedTuple


class Position(NamedTuple):
    """A sequence and the epoch it counts in; 0 and None for a topic that is not known."""

    sequence: int = 0
    epoch: str | None = None
