"""A run: rounds of commands and faults, with the promises checked after each."""

import asyncio
import contextlib
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.fault.ledger import Abort, Sent
from tests.fault.plan import MANAGERS, NODES, Fault, Order, Round, draw
from tests.fault.stage import COMMAND_TTL_S, Stage
from tests.waiting import wait_until

_FAULTS_A_ROUND = 20
_CONSOLES = 80
_REST_S = 0.5
"""The pause after each fault of a patient round: more than two heartbeats."""
_NO_ANSWER = (OSError, asyncio.IncompleteReadError, TimeoutError)


class BrokenPromise(AssertionError):
    """Raised when an invariant does not hold; its text names the invariant, and says how to repeat the run."""


class Battle:
    """One run with `seed` and a number of faults, in `folder`."""

    def __init__(self, folder: Path, seed: str, faults: int, a_round: int = _FAULTS_A_ROUND) -> None:
        self._stage = Stage(folder)
        self._seed = seed
        self._faults = faults
        self._a_round = a_round
        self.commands = self.reports = self.aborts = 0

    async def run(self, say: bool = False) -> None:
        """Play the run. Raises BrokenPromise."""
        async with self._stage.running():
            await self._recovered()
            for number, first in enumerate(range(0, self._faults, self._a_round)):
                drawn = draw(self._seed, number, min(self._a_round, self._faults - first))
                try:
                    await self._play(number, drawn)
                except Exception as error:
                    raise BrokenPromise(self._explained(number, drawn, error)) from error
                if say:
                    print(f"round {number}: {self.summary}", flush=True)

    @property
    def summary(self) -> str:
        """The log of the run so far."""
        faults = sum(self._stage.done.values()) + sum(self._stage.in_vain.values())
        return f"{faults} faults, {self.commands} commands, {self.aborts} aborted, {self.reports} reports"

    @property
    def by_kind(self) -> str:
        """The faults so far, one line for each kind."""
        done, in_vain = self._stage.done, self._stage.in_vain
        lines = [f"{number:5} {kind}" for kind, number in sorted(done.items())]
        return "\n".join((*lines, f"{sum(in_vain.values()):5} waited for a call that nobody made"))

    async def _play(self, number: int, drawn: Round) -> None:
        stage = self._stage
        began = time.monotonic()
        orders = list(drawn.orders)
        stage.ledger.rolling |= {order.token for order in drawn.orders if order.rolling}
        if drawn.patient:
            stage.ledger.patient |= {order.token for order in drawn.orders}
        async with asyncio.TaskGroup() as tasks:
            if drawn.patient:
                tasks.create_task(self._one_by_one(drawn.faults))
            for fault in () if drawn.patient else drawn.faults:
                tasks.create_task(_at(began + fault.at_s, stage.befall(fault)))
            for _ in range(_CONSOLES):
                tasks.create_task(self._console(orders, began))
        stage.heal()
        await self._recovered()
        tokens = [order.token for order in drawn.orders if order.token in stage.ledger.sent]
        self.commands += len(tokens)
        try:
            await wait_until(lambda: self._settled(tokens), "every command that was sent is accounted for", 30)
        except AssertionError as error:
            token = tokens[0]
            raise AssertionError(f"{error}; not {token}: {stage.ledger.reports[token][-1]['body']}") from error
        stage.read_marks()
        if broken := stage.ledger.violations():
            raise AssertionError("\n".join(broken[:20]))
        stage.ledger.forget_what_is_settled()

    async def _one_by_one(self, faults: Sequence[Fault]) -> None:
        for fault in faults:
            await self._stage.befall(fault)
            await asyncio.sleep(_REST_S)

    async def _console(self, orders: list[Order], began: float) -> None:
        """Give the orders in turn, each at its time."""
        while orders:
            order = orders.pop(0)
            await asyncio.sleep(max(0.0, began + order.at_s - time.monotonic()))
            asked_at = time.monotonic()
            answer = await self._given(order)
            if "id" in answer:
                sent = Sent(order.token, answer["id"], time.monotonic(), answer["expected"], asked_at)
                earlier = self._stage.ledger.sent.get(order.token)
                if earlier is not None:
                    sent.known_at = min(sent.known_at, earlier.known_at)
                self._stage.ledger.sent[order.token] = sent
                if order.abort_after_s is not None:
                    await self._abort(order, sent.id)
            elif answer and "retrieve #" not in answer["body"]:
                self._stage.ledger.refused[order.token] = answer["body"]
            if "nodes" in answer:
                self._take(order.token, answer)

    async def _given(self, order: Order) -> dict[str, Any]:
        """The answer to `order` from its manager, or from another one if that manager does not run; {} without an
        answer."""
        for manager in sorted(MANAGERS, key=lambda each: each != order.manager):
            try:
                return dict(json.loads(await self._stage.ask(manager, order.line, 4.0)))
            except (ConnectionRefusedError, FileNotFoundError):
                continue
            except _NO_ANSWER:
                break
        return {}

    async def _abort(self, order: Order, sent: str) -> None:
        await asyncio.sleep(order.abort_after_s or 0.0)
        with contextlib.suppress(*_NO_ANSWER):
            answer = json.loads(await self._stage.ask(order.abort_by, f"json abort #{sent}", 6.0))
            if "nodes" in answer:
                self.aborts += 1
                states = {node["node"]: node["state"] for node in answer["nodes"]}
                self._stage.ledger.aborts[order.token] = Abort(time.monotonic(), states)
                self._take(order.token, answer)

    async def _settled(self, tokens: list[str]) -> bool:
        """Whether both managers account for each command. Notes their reports."""
        for token in list(tokens):
            sent = self._stage.ledger.sent[token]
            for manager in MANAGERS:
                answer = json.loads(await self._stage.ask(manager, f"json retrieve {sent.id}", 30.0))
                forgotten = self._stage.ledger.forgotten(token)
                if "nodes" not in answer:
                    assert forgotten, f"{token} ({sent.id}) has no report: {answer['body']}"
                    continue
                self._take(token, answer)
                # A server that was rolled back has lost the answers that it had taken since.
                if not forgotten and any(node["state"] in ("pending", "running") for node in answer["nodes"]):
                    return False
            tokens.remove(token)
        return True

    def _take(self, token: str, report: dict[str, Any]) -> None:
        self.reports += 1
        self._stage.ledger.reports.setdefault(token, []).append(report)

    async def _recovered(self) -> None:
        """Wait until every manager hears from every node."""

        async def all_answer() -> bool:
            self._stage.heal()
            for manager in MANAGERS:
                try:
                    answer = json.loads(await self._stage.ask(manager, "json gather --timeout 2 pid", 10.0))
                except _NO_ANSWER:
                    return False
                if [node["state"] for node in answer.get("nodes", ())] != ["ok"] * len(NODES):
                    return False
            return True

        await wait_until(all_answer, "every node answers both managers", 120)

    def _explained(self, number: int, drawn: Round, error: Exception) -> str:
        said = str(error) if isinstance(error, AssertionError) else repr(error)
        happened = "\n".join(f"  {fault}" for fault in drawn.faults)
        return (
            f"round {number} (seed {self._seed}, commands expire after {COMMAND_TTL_S:g} s): {said}\n{happened}\n"
            f"play it again: make fault SEED={self._seed} FAULTS={self._faults}"
        )


async def _at(moment: float, work: Any) -> None:
    await asyncio.sleep(max(0.0, moment - time.monotonic()))
    await work
