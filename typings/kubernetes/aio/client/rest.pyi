from collections.abc import Mapping
from typing import Any

import aiohttp
from kubernetes.aio.client.configuration import Configuration

class RESTResponse:
    response: aiohttp.ClientResponse
    status: int
    reason: str | None
    @property
    def headers(self) -> Mapping[str, str]: ...
    async def read(self) -> bytes: ...

class RESTClientObject:
    def __init__(self, configuration: Configuration) -> None: ...
    async def request(
        self,
        method: str,
        url: str,
        headers: dict[str, str] | None = ...,
        body: Any = ...,
        post_params: Any = ...,
        _request_timeout: aiohttp.ClientTimeout | float | None = ...,
    ) -> RESTResponse: ...
    async def close(self) -> None: ...
