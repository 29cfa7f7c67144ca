from typing import Any

class Configuration:
    host: str
    ssl_ca_cert: str | None
    ca_cert_data: str | bytes | None
    verify_ssl: bool
    disable_strict_ssl_verification: bool
    tls_server_name: str | None
    proxy: str | None
    api_key: dict[str, str]
    client_session_kwargs: dict[str, Any] | None
    connection_pool_maxsize: int
    def __init__(self, host: str | None = ...) -> None: ...
    async def auth_settings(self) -> dict[str, dict[str, Any]]: ...
