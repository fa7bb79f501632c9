"""What an operator can do with a session: pause and continue it, stop it, retry the seats that did not finish."""

from nicegui import ui

from dashboards.fleet.views import SeatState, SessionView
from dashboards.pages.dialogs import confirmed
from dashboards.pages.paths import start_path
from dashboards.pages.quantities import count_in_words
from dashboards.pages.visit import Visit
from dashboards.user import Role
from protocol.operators import SessionStep

STOP_WORD = "stop"
"""typed to stop a session that belongs to no room"""


class SessionActions:
    """Buttons; only those are there that make sense now."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._session: SessionView | None = None
        with ui.element("div").classes("actions") as self._row:
            self._review = self._button("Look at the plan", "fact_check", self._open_plan, "unelevated")
            self._pause = self._button("Pause", "pause", self._do_pause)
            self._resume = self._button("Continue", "play_arrow", self._do_resume, "unelevated")
            self._retry = self._button("Retry failed seats", "replay", self._do_retry)
            self._stop = self._button("Stop", "stop", self._do_stop)
            self._stop.props["color"] = "negative"

    def _button(self, text: str, icon: str, action: object, kind: str = "outline") -> ui.button:
        button = ui.button(text, icon=icon, on_click=self._visit.handler(action))  # type: ignore[arg-type]
        return button.props(f"{kind} no-caps")

    def show(self, session: SessionView) -> None:
        """Offer what makes sense for the session as it is."""
        self._session = session
        step = session.step
        self._row.visible = self._visit.may(Role.OPERATOR)
        self._review.visible = step is SessionStep.PLANNED
        self._pause.visible = step is SessionStep.RUNNING
        self._resume.visible = step is SessionStep.PAUSED
        self._stop.visible = step is not SessionStep.ENDED
        self._stop.text = "Drop the plan" if step is SessionStep.PLANNED else "Stop"
        self._retry.visible = step is SessionStep.ENDED and bool(unfinished(session))

    def _open_plan(self) -> None:
        if self._session is not None:
            ui.navigate.to(start_path(tsi=self._session.tsi))

    async def _do_pause(self) -> None:
        session = self._session
        if session is not None:
            await self._visit.act(lambda user: self._visit.desk.pause(user, session.tsi), "Paused: nothing is sent.")

    async def _do_resume(self) -> None:
        session = self._session
        if session is not None:
            await self._visit.act(lambda user: self._visit.desk.resume(user, session.tsi), "It goes on.")

    async def _do_stop(self) -> None:
        session = self._session
        if session is None:
            return
        if session.step is SessionStep.PLANNED:
            agreed = await confirmed("Drop this plan?", "Nothing was written, and nothing will be.", "Drop the plan")
        else:
            open_seats = sum(1 for seat in session.seats if not seat.state.is_final)
            agreed = await confirmed(
                f"Stop the session in {session.room or 'these seats'}?",
                f"{count_in_words(open_seats, 'seat has', 'seats have')} not finished. Their disks are left in part "
                "overwritten and marked incomplete; a retry goes on from there.",
                "Stop the session",
                typed=session.room or STOP_WORD,
            )
        if agreed:
            await self._visit.act(lambda user: self._visit.desk.stop(user, session.tsi), "Stopped.")

    async def _do_retry(self) -> None:
        session = self._session
        if session is None:
            return
        machines = unfinished(session)
        if await confirmed(
            f"Retry {count_in_words(len(machines), 'seat')}?",
            "A plan is opened for the seats that did not finish. Nothing is written before you have started it.",
            "Make the plan",
            is_dangerous=False,
        ):
            tsi = await self._visit.act(lambda user: self._visit.desk.retry(user, session.tsi, machines))
            if tsi:
                ui.navigate.to(start_path(tsi=tsi))


def unfinished(session: SessionView) -> tuple[str, ...]:
    """Machines of the seats that did not finish."""
    return tuple(seat.machine for seat in session.seats if seat.machine and seat.state is not SeatState.VERIFIED)
