from typing import Any

from kubernetes.aio.client.configuration import Configuration

class ConfigException(Exception): ...

def load_incluster_config(
    client_configuration: Configuration | None = ..., try_refresh_token: bool = ...
) -> None: ...
async def load_kube_config(
    config_file: str | None = ...,
    context: str | None = ...,
    client_configuration: Configuration | None = ...,
    persist_config: bool = ...,
    temp_file_path: str | None = ...,
) -> Any: ...
