"""What routes and namespaces share, made once per process."""

from __future__ import annotations

from dataclasses import dataclass

from jobcast.ledger import Ledger
from jobcast.server.authentication import IdentityProvider
from jobcast.server.authorization import Authorizer
from jobcast.server.job_control import JobControl
from jobcast.server.settings import ServerSettings


@dataclass(frozen=True, slots=True)
class Services:
    """Handed to every blueprint and namespace."""

    settings: ServerSettings
    ledger: Ledger
    authenticator: IdentityProvider
    authorizer: Authorizer
    jobs: JobControl
