"""The recorded scenarios, one module for each subject. Importing this package fills `recording.SCENARIOS`."""

from devhost_tests.scenarios import entities, failures, flow, management, restarts, values

GROUPS = {m.__name__.rpartition(".")[2]: m for m in (entities, failures, flow, restarts, management, values)}

__all__ = ["GROUPS"]
