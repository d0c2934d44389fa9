"""The ledger: where every topic's state, sequence and history live."""

from jobcast.ledger.memory import MemoryLedger
from jobcast.ledger.port import Appended, Entry, Ledger, Overdue, Snapshot, StoredEvent
from jobcast.ledger.redis import RedisLedger

__all__ = [
    "Appended",
    "Entry",
    "Ledger",
    "MemoryLedger",
    "Overdue",
    "RedisLedger",
    "Snapshot",
    "StoredEvent",
]
