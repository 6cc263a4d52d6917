"""The limits of tests that measure processor time, because they have to notice a hang or a square cost."""

SLOWER = 20
"""How many times as long as on an idle machine a call may take: a busy machine can take ten times as long
(docs/development.md), and the measurement of coverage adds to that. A square cost takes far longer."""
