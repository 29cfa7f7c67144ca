"""What a browser may do with the page: run its own files, ask its own server, and nothing else."""

from typing import Final

_SOURCES: Final = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self'",
    "connect-src": "'self'",
    "font-src": "'self'",
    "manifest-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
    # No text becomes markup or script, not even by a slip in the page itself.
    "require-trusted-types-for": "'script'",
    "trusted-types": "'none'",
}

_UNUSED: Final = (
    "accelerometer",
    "autoplay",
    "browsing-topics",
    "camera",
    "clipboard-read",
    "display-capture",
    "encrypted-media",
    "fullscreen",
    "geolocation",
    "gyroscope",
    "hid",
    "idle-detection",
    "local-fonts",
    "magnetometer",
    "microphone",
    "midi",
    "payment",
    "picture-in-picture",
    "publickey-credentials-get",
    "screen-wake-lock",
    "serial",
    "usb",
    "xr-spatial-tracking",
)

CONTENT_POLICY: Final = "; ".join(f"{name} {value}" for name, value in _SOURCES.items())
"""Content-Security-Policy of the page."""

PERMISSIONS: Final = ", ".join(f"{name}=()" for name in _UNUSED)
"""Permissions-Policy of the page: it uses none of these; copying to the clipboard is not listed,
for the page does that."""

PAGE_HEADERS: Final = {
    "Content-Security-Policy": CONTENT_POLICY,
    "Permissions-Policy": PERMISSIONS,
    # Nobody who opened the page, or was opened by it, holds its window.
    "Cross-Origin-Opener-Policy": "same-origin",
}
"""What the page is sent with, besides what every answer has."""
