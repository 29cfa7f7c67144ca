"""What a machine is recognised by, without giving away the id that it keeps for itself."""

import hashlib
import hmac
from pathlib import Path
from typing import Final

MACHINE_ID: Final = Path("/etc/machine-id")
"""Where systemd and most images keep it. It is confidential: whoever has it can tell the machine
again anywhere, so only a digest made for this purpose leaves the machine."""

_PURPOSE: Final = b"citadel-k8s device enrolment"


def machine_id(file: Path = MACHINE_ID) -> str:
    """Give an id of this machine for enrolment, 32 hexadecimal digits; empty if it has none."""
    try:
        own = file.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
    if not own or own == "uninitialized":
        return ""
    return hmac.new(own.encode(), _PURPOSE, hashlib.sha256).hexdigest()[:32]
