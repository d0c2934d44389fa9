"""``python -m web token``: mints a token for development, or calls one back."""

from __future__ import annotations

import argparse
import math
import re
import sys
import time
import uuid
from collections.abc import Sequence
from typing import Final

import jwt
from redis.exceptions import RedisError

from jobcast.errors import InvalidPayload, InvalidSetting
from jobcast.ledger.connection import connect
from jobcast.server.authentication import CLOCK_SKEW
from jobcast.server.keys import keys_from
from jobcast.server.revocation import revoke
from jobcast.topics import Topic, valid_id
from web.settings import WebSettings

_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}

#: Longest lifetime of a minted token, in seconds.
_LONGEST: Final = 30 * 86_400


def main(arguments: Sequence[str]) -> int:
    """Print a token, or revoke one; 1 with one line on standard error when that cannot be done."""
    wanted = _parser().parse_args(arguments)
    try:
        settings = WebSettings.from_environment()
        if wanted.revoke:
            _revoke(settings, wanted.revoke)
        else:
            print(mint(settings, wanted.user, wanted.brand, wanted.scope, wanted.ttl))  # noqa: T201
    except (InvalidSetting, InvalidPayload, RedisError, OSError) as error:
        print(f"jobcast token: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def mint(settings: WebSettings, user: str, brands: Sequence[str], scopes: Sequence[str], ttl: float) -> str:
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


def _revoke(settings: WebSettings, token: str) -> None:
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m web token", description="Mint a token, or revoke one.")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--user", help="whose token it is (sub)")
    what.add_argument("--revoke", metavar="JTI", help="call back a token, by its jti or as a whole")
    parser.add_argument("--brand", action="append", default=[], help="a brand of the user; repeatable")
    parser.add_argument(
        "--scope", action="append", default=[], type=_scope, help="job:x, user:x, brand:x, admin"
    )
    parser.add_argument("--ttl", type=_seconds, default="15m", help="lifetime such as 90s, 15m, 8h (15m)")
    return parser


def _scope(text: str) -> str:
    try:
        return text if text == "admin" else Topic.parse(text).room
    except InvalidPayload as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _seconds(text: str) -> int:
    match = re.fullmatch(r"(\d{1,7})([smhd])", text)
    seconds = int(match[1]) * _SECONDS[match[2]] if match else 0
    if not 0 < seconds <= _LONGEST:
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 15m, up to 30d")
    return seconds
