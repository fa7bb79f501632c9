"""The security headers of every answer. Pure.

NiceGUI 3.18 asks for this much, found by taking one away after the other in a browser:

    script-src 'unsafe-eval'     Vue compiles templates in the browser, nicegui.js evaluates what its socket sends
    script-src 'nonce-...'       the page's own inline scripts (see ``page_nonce``); foreign markup has no nonce
    script-src 'self'            modules of components
    style-src 'unsafe-inline'    Quasar, Tailwind and ECharts make style elements and attributes at run time
    img-src data:                an icon of the page that is a text

What we render ourselves (login, report) gets the strict policy: no script at all.
"""

from typing import Final

from dashboards.access.policy import AccessPolicy

_COMMON: Final = (
    "default-src 'none'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'; form-action 'self'; img-src 'self'"
)
_PERMISSIONS: Final = ", ".join(
    f"{feature}=()"
    for feature in ("accelerometer", "camera", "display-capture", "geolocation", "microphone", "midi", "payment", "usb")
)


def strict_content_policy(nonce: str) -> str:
    """For documents of our own: no script, and styles with the nonce only."""
    return f"{_COMMON}; style-src 'nonce-{nonce}'"


def page_content_policy(nonce: str) -> str:
    """For pages of NiceGUI: everything comes from us, and inline scripts carry the nonce."""
    return (
        f"{_COMMON} data:; script-src 'self' 'nonce-{nonce}' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
        "font-src 'self'; connect-src 'self'"
    )


def security_headers(policy: AccessPolicy, content_policy: str) -> list[tuple[bytes, bytes]]:
    """The headers for one answer, as ASGI wants them."""
    headers = {
        "content-security-policy": content_policy,
        "x-frame-options": "DENY",
        "x-content-type-options": "nosniff",
        # With no-referrer, browsers send our own forms with the origin "null".
        "referrer-policy": "same-origin",
        "permissions-policy": _PERMISSIONS,
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
    }
    if policy.is_secure and policy.strict_transport_seconds:
        headers["strict-transport-security"] = f"max-age={policy.strict_transport_seconds}"
    return [(name.encode(), value.encode()) for name, value in headers.items()]
