"""The description of the HTTP API as OpenAPI 3.1, built from the constants that the checks use.

It is imported only when needed, to keep cold starts fast. `integrations/openapi.yaml` and the custom
connector are generated from it by `dev.py integrations`.
"""
