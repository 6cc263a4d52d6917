"""The Power BI service in the app settings."""

from functools import cache
from uuid import UUID

from power_bi.client import PowerBiClient
from power_bi.clouds import CLOUDS
from power_bi.credentials import TokenSource, token_source
from refresh.failure.catalogue import ModelNames
from refresh.settings import current_settings


@cache
def configured_client() -> PowerBiClient:
    """The client of this process, created at the first call. Raises SettingsError like `current_settings`."""
    settings = current_settings()
    return PowerBiClient(settings.power_bi_api_url or CLOUDS[settings.power_bi_cloud].api_url, configured_tokens())


def known_names(workspace_id: str, dataset_id: str) -> ModelNames:
    """The names of a model and its workspace that this process knows, without a call. Both ids are GUIDs."""
    return configured_client().known_names(UUID(workspace_id), UUID(dataset_id))


@cache
def configured_tokens() -> TokenSource:
    """The token source of this process, created at the first call. Raises SettingsError like `current_settings`."""
    settings = current_settings()
    cloud = CLOUDS[settings.power_bi_cloud]
    api_url = settings.power_bi_api_url or cloud.api_url
    scope = settings.power_bi_scope or cloud.scope
    return token_source(scope, api_url, settings.azure_client_id, cloud.authority)
