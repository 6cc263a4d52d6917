"""The HTTP side of the app and the engine: routing, function requests, the management API, admin routes and keys."""
