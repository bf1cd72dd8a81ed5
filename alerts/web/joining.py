"""Lets machines elsewhere join over HTTP, with a token that allows nothing else."""

import asyncio
import hmac
import logging
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from alerts.config import describe_errors
from alerts.machines.joined import JoinRequest, TakenError, add_joined
from alerts.web.login import JOIN_PATH, Throttle, network_of
from alerts.web.request_body import READ_TIMEOUT_SECONDS, problem, read_object

log = logging.getLogger(__name__)


class Joining:
    """The handler of `POST /api/machines`; `on_change` is called once a machine has joined."""

    def __init__(self, state_dir: Path, token: str, taken: frozenset[str], on_change: Callable[[], None]) -> None:
        """`taken` are the names of the machines that the configuration has."""
        self._state_dir = state_dir
        self._token = token.encode()
        self._taken = taken
        self._on_change = on_change
        self._throttle = Throttle()

    def routes(self) -> list[Route]:
        return [Route(JOIN_PATH, self._join, methods=["POST"])]

    async def _join(self, request: Request) -> Response:
        address = network_of(request.client.host if request.client else "")
        pause = self._throttle.pause(address)
        if pause:
            return problem(429, f"too many wrong tokens; retry in {pause:.0f} s")
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), self._token):
            self._throttle.note_failure(address)
            log.warning("machine refused from %s: wrong token", address)
            return problem(401, "the token is not this watcher's; copy join.token from its state folder again")
        try:
            async with asyncio.timeout(READ_TIMEOUT_SECONDS):
                asked = JoinRequest.model_validate(await read_object(request))
            is_new = add_joined(self._state_dir, asked, self._taken)
        except TimeoutError:
            return problem(408, "request timed out")
        except ValidationError as error:
            return problem(422, "; ".join(describe_errors(error)))
        except ValueError as error:
            return problem(422, str(error))
        except TakenError as error:
            return problem(409, str(error))
        except OSError as error:
            return problem(507, f"the watcher cannot keep it: {error.strerror}")
        if is_new:
            log.info("machine %s joined, %s", asked.name, "and pushes" if asked.pushes else f"at {asked.url}")
            self._on_change()
        return JSONResponse({"name": asked.name}, status_code=201 if is_new else 200)
