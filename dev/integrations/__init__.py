"""What pipelines import: the Data Factory files in integrations/, all made from `pipelines.py`, so that none drifts."""
