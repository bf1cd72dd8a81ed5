"""Answers a standby over HTTP, which shows a token that allows nothing else."""

import asyncio
import hmac
import logging

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from alerts.config import describe_errors
from alerts.standby.exchange import MAX_BYTES, Question
from alerts.standby.first import First
from alerts.standby.token import TOKEN_FILE
from alerts.web.login import STANDBY_PATH, Throttle, network_of
from alerts.web.request_body import READ_TIMEOUT_SECONDS, problem, read_object

log = logging.getLogger(__name__)


class StandingBy:
    """The handler of `POST /api/standby`."""

    def __init__(self, first: First, token: str) -> None:
        self._first = first
        self._token = token.encode()
        self._throttle = Throttle()

    def routes(self) -> list[Route]:
        return [Route(STANDBY_PATH, self._answer, methods=["POST"])]

    async def _answer(self, request: Request) -> Response:
        address = network_of(request.client.host if request.client else "")
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        # Not throttled where it is right: 256 bits cannot be guessed, and a standby must not be kept away.
        if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), self._token):
            pause = self._throttle.pause(address)
            if pause:
                return problem(429, f"too many wrong tokens; retry in {pause:.0f} s")
            self._throttle.note_failure(address)
            log.warning("standby refused from %s: wrong token", address)
            return problem(401, f"the token is not this watcher's; copy {TOKEN_FILE} from its state folder again")
        try:
            async with asyncio.timeout(READ_TIMEOUT_SECONDS):
                question = Question.model_validate(await read_object(request, MAX_BYTES))
        except TimeoutError:
            return problem(408, "request timed out")
        except ValidationError as error:
            return problem(422, "; ".join(describe_errors(error)[:5]))
        except ValueError as error:
            return problem(422, str(error))
        answer = await self._first.answer(question)
        return Response(answer.model_dump_json(), media_type="application/json")
