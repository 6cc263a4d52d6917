"""`dev.py bench`: what the app costs in calls to Power BI and in work of the engine."""
