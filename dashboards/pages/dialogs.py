"""Questions that are asked before something is done, and what is done with the answer."""

from nicegui import ui

from dashboards.pages.seat_words import plain
from dashboards.pages.words import Words


async def confirmed(title: str, words: str, button: str, *, typed: str = "", is_dangerous: bool = True) -> bool:
    """Ask; whether the operator agreed. Where ``typed`` is given, exactly that has to be typed first."""
    title, words = plain(title), plain(words)
    with ui.context.client, ui.dialog() as dialog, ui.card().classes("dialog-card"):
        dialog.props["aria-label"] = title
        Words("h2", title).classes("dialog-title")
        ui.label(words).classes("wrap-text")
        field: ui.input | None = None
        if typed:
            with ui.row().classes("items-center gap-small"):
                ui.label("To confirm, type")
                ui.label(typed).classes("typed-word")
            field = ui.input(label="Confirmation").props("outlined dense autofocus").classes("full-width")
        with ui.row().classes("dialog-actions"):
            ui.button("Cancel", on_click=lambda: dialog.submit(False)).props("flat no-caps")
            agree = ui.button(button, on_click=lambda: dialog.submit(True)).props("unelevated no-caps")
            agree.props["color"] = "negative" if is_dangerous else "primary"
        if field is not None:
            agree.bind_enabled_from(field, "value", lambda value: (value or "").strip() == typed)
            field.on("keydown.enter", lambda: dialog.submit(True) if agree.enabled else None)
        else:
            agree.props("autofocus")
    answer = await dialog
    dialog.delete()
    return bool(answer)
