"""What routes and namespaces share, made once per process by the application factory."""

from __future__ import annotations

from dataclasses import dataclass

from jobcast import Settings
from jobcast.ledger import Ledger
from web.gate import Gate
from web.jobs import Jobs


@dataclass(frozen=True, slots=True)
class Services:
    """Handed to every blueprint and namespace."""

    settings: Settings
    ledger: Ledger
    gate: Gate
    jobs: Jobs
