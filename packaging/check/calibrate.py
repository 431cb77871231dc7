"""Quantizes a model with a calibration text, for which the library loads OpenBLAS, and tells which one that was.

usage: calibrate.py MODEL
"""

import sys
import tempfile
from pathlib import Path

from xverse import Model

with tempfile.NamedTemporaryFile("w", suffix=".txt") as text:
    text.write("A spider has eight legs. " * 100)
    text.flush()
    model = Model(sys.argv[1], quantize="int8", calibration=text.name)
answer = "".join(model.session().chat([("user", "How many legs does a spider have?")], max_new_tokens=20))
# NumPy's is called libscipy_openblas.
mapped = {line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines()}
mapped = {path for path in mapped if Path(path).name.startswith(("libopenblas", "libxverse-openblas"))}
expected = Path(sys.modules["xverse"].__file__).parent / "_lib/libxverse-openblas.so.0"
if mapped != {str(expected)}:
    sys.exit(f"calibrate: OpenBLAS is {sorted(mapped)}, expected {expected}")
print(answer)
