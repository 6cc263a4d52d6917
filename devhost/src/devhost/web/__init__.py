"""HTTP for the app and the engine: routing, function requests, the management API, admin routes, keys."""
