"""What routes and namespaces share, made once per process by the application factory."""

from __future__ import annotations

from dataclasses import dataclass

from jobcast import Settings
from jobcast.ledger import Ledger
from jobcast.server.authentication import Authenticator
from web.publishing import Jobs


@dataclass(frozen=True, slots=True)
class Services:
    """Handed to every blueprint and namespace."""

    settings: Settings
    ledger: Ledger
    authenticator: Authenticator
    jobs: Jobs
