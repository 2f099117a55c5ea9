"""What a receiver or a handler returns: nothing counts as done that has not run."""

import concurrent.futures
import inspect
from typing import Any, Callable, Iterable

from asgiref.sync import async_to_sync


def run_to_its_end(answer: Any, function: Any) -> Any:
    """The result of `function`, which returned `answer`: a coroutine is run in this thread, its
    queries in the transaction that is open; a pool's Future is waited for; and so is what these
    come to. Raises TypeError for a generator, whose body has not run and would not."""
    while True:
        if isinstance(answer, concurrent.futures.Future):
            answer = answer.result()
        elif inspect.isawaitable(answer):
            answer = async_to_sync(_wait_for)(answer)
        else:
            break
    if inspect.isgenerator(answer) or inspect.isasyncgen(answer):
        name = getattr(function, "__qualname__", repr(function))
        raise TypeError(f"{name} is a generator: its body does not run; leave out yield")
    return answer


async def _wait_for(answer: Any) -> Any:
    return await answer


def check_hooks(hooks: Iterable[Callable[[], Any]]) -> None:
    """Raises TypeError for a hook of transaction.on_commit that is `async def`: Django calls it and
    drops its coroutine."""
    for hook in hooks:
        if inspect.iscoroutinefunction(hook):
            name = getattr(hook, "__qualname__", repr(hook))
            raise TypeError(
                f"{name}: transaction.on_commit does not run an async function: give it "
                f"async_to_sync({name}), of asgiref.sync"
            )
