"""The description of our HTTP API as OpenAPI 3.1, made of the constants that the checks use.

Imported only when somebody asks for it, so a cold start does not pay for it. `integrations/openapi.yaml` and the custom
connector are written from it by `dev.py openapi`.
"""
