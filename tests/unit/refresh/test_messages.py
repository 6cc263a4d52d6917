"""Messages are decoded in several threads."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
FIRST_USES = """
import sys, threading
from types import ModuleType
import msgspec
from refresh.messages import typed, typed_json

sys.setswitchinterval(1e-6)
module = sys.modules["kinds"] = ModuleType("kinds")
exec("from __future__ import annotations\\nimport msgspec\\n" + "".join(
    f"class Inner{n}(msgspec.Struct):\\n    number: int = 0\\n    texts: list[str] = []\\n"
    f"class Outer{n}(msgspec.Struct):\\n    inner: Inner{n} | None = None\\n    number: int = 0\\n"
    for n in range(200)
), module.__dict__)
together = threading.Barrier(4, timeout=60)
found = []

def decode():
    for n in range(200):
        outer, inner = module.__dict__[f"Outer{n}"], module.__dict__[f"Inner{n}"]
        together.wait()
        found.append(typed({"inner": {"number": n}}, outer).inner == inner(number=n))
        found.append(typed_json(b'{"number": 1}', inner).number == 1)

threads = [threading.Thread(target=decode) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(len(found), all(found))
"""


def test_threads_decode_a_type_for_the_first_time() -> None:
    """Several threads decode a type for the first time at the same moment, as in a worker that has just started. With
    msgspec alone, the process crashes."""
    done = subprocess.run(
        [sys.executable, "-c", FIRST_USES], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert (done.returncode, done.stdout.strip()) == (0, "1600 True"), done.stderr
