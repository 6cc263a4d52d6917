"""The names of functions, entities and events in the engine. Each is also written at its definition."""

REFRESH_REQUEST = "refresh_request"
REFRESH_RUN = "refresh_run"
DELIVER_CALLBACK = "deliver_callback"

DATASET_QUEUE = "dataset_queue"
"""The entity; its key is the dataset id (GUID in lower case, with hyphens)."""

CAPACITY_GROUP = "capacity_group"
"""The entity; its key is the name of the group."""

TIMER_HEARTBEAT = "timer_heartbeat"
"""The entity; its key is the name of a timer function."""

READ_HISTORY = "read_history"
POST_REFRESH = "post_refresh"
READ_REFRESH = "read_refresh"
CANCEL_REFRESH = "cancel_refresh"
START_RUN = "start_run"
NOTIFY_REQUESTS = "notify_requests"
READ_RUN = "read_run"
NOTIFY_CALLBACKS = "notify_callbacks"
CALL_BACK = "call_back"

CANCEL_EVENT = "Cancel"
"""Tells a request that a caller cancelled it."""
RECHECK_EVENT = "Recheck"
"""Has a request ask the queue again: a message to it seems to be lost, or the active run seems to be dead."""
CALLBACK_EVENT = "CallbackAdded"
"""Tells a request that a receiver waits for a callback, if the callback was added after the start."""
ENDED_EVENT = "Ended"
"""Tells a callback that its request has ended."""
