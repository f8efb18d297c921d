"""Finds the ONNX Runtime library."""

import importlib.util
import os
from pathlib import Path
from typing import Optional


def find() -> Optional[Path]:
    """Returns the library of the `onnxruntime` package, or None where `ORT_DYLIB_PATH` names one or there is no such package."""
    if os.environ.get("ORT_DYLIB_PATH"):
        return None
    package = importlib.util.find_spec("onnxruntime")
    for folder in (package and package.submodule_search_locations) or []:
        for pattern in ("libonnxruntime.so*", "libonnxruntime*.dylib", "onnxruntime.dll"):
            for library in sorted(Path(folder, "capi").glob(pattern)):
                return library
    return None
