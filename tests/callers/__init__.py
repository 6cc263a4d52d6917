"""What users import, run by callers that obey the rules of the services they stand for."""
