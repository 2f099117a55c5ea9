"""What a receiver or a handler returns: nothing counts as done that has not run."""

import inspect
from typing import Any

from asgiref.sync import async_to_sync


def run_to_its_end(answer: Any, function: Any) -> Any:
    """The result of `function`, which returned `answer`: a coroutine is run in this thread, its
    queries in the transaction that is open. Raises TypeError for a generator, whose body has not
    run and would not."""
    if inspect.isawaitable(answer):

        async def wait() -> Any:
            return await answer

        return async_to_sync(wait)()
    if inspect.isgenerator(answer) or inspect.isasyncgen(answer):
        name = getattr(function, "__qualname__", repr(function))
        raise TypeError(f"{name} is a generator: its body does not run; leave out yield")
    return answer
