"""Middleware of `/udf/`: the token in the path, and errors in the form of the datafeed."""

from __future__ import annotations

import re
from collections.abc import Callable

import orjson
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from datasets.api.exceptions import PROBLEM_JSON

Respond = Callable[[HttpRequest], HttpResponseBase]

_WITH_TOKEN = re.compile(r"/udf/t/([^/]+)(/.*)")
# The charting library does not read the status. These say that the client must change something.
_KEPT = (401, 403)


def speak_udf(respond: Respond) -> Respond:
    """Take the token out of the path, and translate problem+json into the datafeed's errors.

    `/udf/t/{token}/history` becomes `/udf/history` with `Authorization: Bearer {token}`: the
    charting library sends no header, and no later code, log or report sees the token.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if not request.path_info.startswith("/udf/"):
            return respond(request)
        found = _WITH_TOKEN.fullmatch(request.path_info)
        if found is not None:
            request.META["HTTP_AUTHORIZATION"] = f"Bearer {found[1]}"
            request.path_info = request.path = request.META["PATH_INFO"] = f"/udf{found[2]}"
        response = respond(request)
        is_problem = response.get("Content-Type") == PROBLEM_JSON and response.status_code != 405
        if is_problem and isinstance(response, HttpResponse):
            problem = orjson.loads(response.content)
            wrong = [
                f"{name}: {' '.join(texts)}" for name, texts in problem.get("errors", {}).items()
            ]
            message = "; ".join(wrong) or problem["detail"]
            said = {"s": "error", "errmsg": message, "code": problem["code"]}
            response.content = orjson.dumps(said)
            response["Content-Type"] = "application/json"
            if "Content-Length" in response:
                response["Content-Length"] = str(len(response.content))
            if response.status_code not in _KEPT:
                response.status_code = 200
        return response

    return middleware
