"""Pipelines for Data Factory and Synapse: activities, pipelines, and the forms in which they are imported."""
