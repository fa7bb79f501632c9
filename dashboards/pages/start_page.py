"""Starting a session: choose image and room, look at the plan, then type what is overwritten and start it.

The address names the plan, so that it is found again: by whoever closed the page, or made it at a terminal.
"""

from nicegui import ui

from dashboards.pages.new_plan import NewPlan
from dashboards.pages.plan_review import PlanReview
from dashboards.pages.visit import Visit
from dashboards.pages.words import page_title


def build_start(visit: Visit) -> None:
    """The page of the plan that the address names, or of a new one."""
    with ui.element("div").classes("page-head"), ui.element("div").classes("words"):
        page_title("Start a session")
        ui.label("First a plan: every PC looks at its own disk, and nothing is written before you say so.").classes(
            "muted"
        )
    if tsi := visit.query("tsi"):
        PlanReview(visit, tsi)
    else:
        NewPlan(visit, visit.query("room"), visit.query("image"), visit.query("version"))
