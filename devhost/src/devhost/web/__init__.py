"""HTTP in front of the app and the engine: routing, function requests, the management API, keys."""
