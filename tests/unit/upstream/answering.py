"""A client that answers what a test says, without a socket."""

import json
from typing import Any

from segwatch.upstream.wire import Reply


class Answering:
    """Answers in turn; remembers what it was asked. An answer is a JSON value, or bytes as they are."""

    sandbox = "prod"

    def __init__(self, *answers: Any, status: int = 200) -> None:
        self._answers = list(answers)
        self._status = status
        self.asked: list[Any] = []

    async def call(self, request: Any, **rest: Any) -> Reply:
        self.asked.append(request)
        answer = self._answers.pop(0)
        body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        return Reply(status=self._status, body=body)
