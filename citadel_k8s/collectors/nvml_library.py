"""The bindings of NVML, less what they import for nothing.

They import ``ctypes.util`` and use nothing of it. That brings ``subprocess``, ``tempfile``,
``random`` and the compressors: 1.3 MiB in a child that has nine.
"""

from __future__ import annotations

import sys
from types import ModuleType

_NAME = "ctypes.util"
_own = sys.modules.get(_NAME)
if _own is None:
    _stand_in = ModuleType(_NAME)
    _stand_in.find_library = None  # type: ignore[attr-defined]
    sys.modules[_NAME] = _stand_in
try:
    import pynvml
finally:
    if _own is None:
        # Whoever else needs the real one gets it.
        del sys.modules[_NAME]

__all__ = ["pynvml"]
