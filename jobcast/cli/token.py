"""``jobcast token``: mints a token for development, or calls one back."""

from __future__ import annotations

import math
import re
import sys
import time
import uuid
from collections.abc import Sequence
from typing import Final

import click
import jwt
from redis.exceptions import RedisError

from jobcast.cli.environment import described
from jobcast.errors import InvalidPayload, InvalidSetting
from jobcast.ledger.connection import connect
from jobcast.server.authentication import CLOCK_SKEW
from jobcast.server.keys import keys_from
from jobcast.server.revocation import revoke
from jobcast.server.settings import ServerSettings
from jobcast.topics import named_topic, valid_id

_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}

#: Longest lifetime of a minted token, in seconds.
_LONGEST: Final = 30 * 86_400


def _scope(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> list[str]:
    try:
        return [text if text == "admin" else named_topic(text).room for text in values]
    except InvalidPayload as error:
        raise click.BadParameter(str(error)) from error


def _seconds(context: click.Context, parameter: click.Parameter, text: str) -> int:
    match = re.fullmatch(r"(\d{1,7})([smhd])", text)
    seconds = int(match[1]) * _SECONDS[match[2]] if match else 0
    if not 0 < seconds <= _LONGEST:
        raise click.BadParameter(f"{text!r} is no time such as 15m, up to 30d")
    return seconds


@click.command(epilog=described(ServerSettings))
@click.option("--user", help="Whose token it is (sub).")
@click.option("--revoke", "revoked", metavar="JTI", help="Call back a token, by its jti or as a whole.")
@click.option("--brand", "brands", multiple=True, help="A brand of the user; repeatable.")
@click.option("--scope", "scopes", multiple=True, callback=_scope, help="job:x, user:x, brand:x, admin.")
@click.option("--ttl", default="15m", callback=_seconds, help="Lifetime such as 90s, 15m, 8h (15m).")
def token(
    user: str | None, revoked: str | None, brands: Sequence[str], scopes: Sequence[str], ttl: int
) -> None:
    """Mint a token for development, or revoke one."""
    if (user is None) == (revoked is None):
        raise click.UsageError("one of --user and --revoke is needed")
    try:
        settings = ServerSettings.from_environment()
        if revoked is not None:
            _revoke(settings, revoked)
        else:
            click.echo(mint(settings, user or "", brands, scopes, ttl))
    except (InvalidSetting, InvalidPayload, RedisError, OSError) as error:
        click.echo(f"jobcast token: {error}", err=True)
        sys.exit(1)


def mint(
    settings: ServerSettings, user: str, brands: Sequence[str], scopes: Sequence[str], ttl: float
) -> str:
    """A signed token; raise InvalidSetting unless this process has a secret to sign with."""
    keys = keys_from(settings)
    if keys is None:
        raise InvalidSetting("SOCKETIO_JWT_KEY", "not set, so there is nothing to sign with")
    algorithm = keys.algorithms[0]
    if not algorithm.startswith("HS"):
        raise InvalidSetting("SOCKETIO_JWT_KEY", "a public key cannot sign; ask whoever has the private one")
    now = int(time.time())
    claims = {
        "sub": valid_id(user),
        "brands": [valid_id(brand) for brand in brands],
        "scope": " ".join(scopes),
        "iat": now,
        "exp": now + int(ttl),
        "jti": uuid.uuid4().hex,
        "aud": settings.jobcast_jwt_audience,
        "iss": settings.jobcast_jwt_issuer,
    }
    known = {name: value for name, value in claims.items() if value not in ("", [])}
    return jwt.encode(known, settings.socketio_jwt_key, algorithm)


def _revoke(settings: ServerSettings, token: str) -> None:
    """By the token itself, which says when it may be forgotten, or by its ``jti`` alone."""
    token_id, until = token, math.inf
    if token.count(".") == 2:
        try:
            claims = jwt.decode(token, options={"verify_signature": False})
            token_id, until = str(claims["jti"]), float(claims["exp"]) + CLOCK_SKEW
        except (jwt.InvalidTokenError, KeyError) as error:
            raise InvalidPayload("only a token with a jti and an exp can be revoked") from error
    client = connect(settings.require_redis().store_url)
    try:
        revoke(client, token_id, until)
    finally:
        client.close()
