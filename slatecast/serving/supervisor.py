"""Runs the parts of the service side by side, says when all of them are there, and ends them one after the other.

Invariant: when ``run`` has returned or raised, no process of a part is left.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from slatecast.serving.child import Child, ChildPlan, Pauses


class Supervisor:
    """One run of some parts."""

    def __init__(
        self,
        plans: Sequence[ChildPlan],
        *,
        on_ready: Callable[[str, str], object],
        on_all_ready: Callable[[], object],
        say: Callable[[str], object],
        pauses: Pauses | None = None,
    ) -> None:
        """Parts end in the order of ``plans``.

        Args:
            plans: what to run.
            on_ready: told name and place of each part at its first start.
            on_all_ready: called once, when all have been.
            say: takes a line for operators.
            pauses: other than the standard ones, for tests.
        """
        self._missing = {plan.name for plan in plans}
        self._tell_ready = on_ready
        self._tell_all_ready = on_all_ready
        self._children = [
            Child(plan, on_ready=partial(self._ready, plan.name), say=say, pauses=pauses) for plan in plans
        ]

    async def run(self) -> None:
        """Keep all parts running until cancelled.

        Raises:
            SlatecastError: one of them cannot run, for a reason that does not mend itself.
        """
        keepers = [asyncio.create_task(child.keep()) for child in self._children]
        try:
            if not self._missing:
                self._tell_all_ready()
            if not keepers:
                await asyncio.Event().wait()
            (failed, *_), _ = await asyncio.wait(keepers, return_when=asyncio.FIRST_COMPLETED)
            await failed
        finally:
            for keeper in keepers:
                keeper.cancel()
            await asyncio.gather(*keepers, return_exceptions=True)
            for child in self._children:
                await child.stop()

    def kill(self) -> None:
        """End all processes at once."""
        for child in self._children:
            child.kill()

    def _ready(self, name: str, where: str) -> None:
        self._missing.discard(name)
        self._tell_ready(name, where)
        if not self._missing:
            self._tell_all_ready()
