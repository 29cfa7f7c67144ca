from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citadel_k8s.config.agent import AgentSettings
from citadel_k8s.config.base import load
from citadel_k8s.config.operator import OperatorSettings
from citadel_k8s.config.server import ApiSettings
from citadel_k8s.errors import ConfigError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "citadel.yaml"


def test_with_nothing_given_everything_has_a_default() -> None:
    agent, operator = load(AgentSettings, env={}), load(OperatorSettings, env={})

    assert (agent.interval_seconds, agent.publish, agent.listen_port) == (30.0, "redis", 8080)
    assert operator.heartbeat == (30.0, 3, 10.0)


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(file: Path) -> None:
    file.write_text("nodeName: file\nlogLevel: error\norgId: file\n")
    env = {"CITADEL__NODE_NAME": "env", "CITADEL__LOG_LEVEL": "debug"}

    settings = load(AgentSettings, file=file, env=env, node_name="line", log_level=None)

    assert (settings.node_name, settings.log_level, settings.org_id) == ("line", "debug", "file")


def test_the_file_is_camel_case_yaml(file: Path) -> None:
    file.write_text(
        "intervalSeconds: 10\n"
        "hostRoot: /host\n"
        "engines:\n"
        "- {name: vllm, engine: vllm, url: 'http://127.0.0.1:8000'}\n"
    )

    settings = load(AgentSettings, file=file, env={})

    assert settings.interval_seconds == 10.0
    assert settings.host_root == Path("/host")
    assert settings.engines[0].engine == "vllm"


def test_an_empty_file_is_no_settings(file: Path) -> None:
    file.write_text("# nothing\n")

    assert load(AgentSettings, file=file, env={}) == AgentSettings()


def test_a_variable_that_a_service_injects_is_not_a_setting() -> None:
    env = {"CITADEL_PORT": "tcp://10.0.0.1:6379", "CITADEL_LOG_LEVEL": "error", "PATH": "/bin"}

    assert load(AgentSettings, env=env) == AgentSettings()


def test_a_variable_of_another_role_is_ignored() -> None:
    assert load(AgentSettings, env={"CITADEL__MISSED_HEARTBEATS": "5"}) == AgentSettings()


def test_an_empty_variable_is_not_given(file: Path) -> None:
    file.write_text("redisUrl: redis://one:6379\n")

    settings = load(AgentSettings, file=file, env={"CITADEL__REDIS_URL": ""})

    assert settings.redis_url == "redis://one:6379"


def test_text_of_the_environment_becomes_the_type_of_the_setting() -> None:
    env = {
        "CITADEL__INTERVAL_SECONDS": "12.5",
        "CITADEL__LISTEN_PORT": "0",
        "CITADEL__DISCOVER_ENGINES": "false",
    }
    settings = load(AgentSettings, env=env)

    assert settings.interval_seconds == 12.5
    assert settings.listen_port == 0
    assert settings.discover_engines is False


@pytest.mark.parametrize("url", ["redis://h:6379/0", "rediss://h", "unix:///run/redis.sock"])
def test_known_kinds_of_redis_addresses_are_taken(url: str) -> None:
    assert load(OperatorSettings, env={}, redis_url=url).redis_url == url


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("redisUrl", "http://h"),
        ("redisUrl", "h:6379"),
        ("intervalSeconds", 4.9),
        ("intervalSeconds", 301),
        ("intervalSeconds", float("nan")),
        ("intervalSeconds", "soon"),
        ("publish", "kafka"),
        ("logLevel", "loud"),
        ("listenPort", 65536),
        ("streamMaxLength", 0),
        ("engines", [{"name": "x", "engine": "unheard-of", "url": "http://h"}]),
        ("engines", [{"name": "x"}]),
        ("engines", [{"name": "x", "engine": "vllm", "url": "localhost:8000"}]),
        ("engines", [{"name": "x", "engine": "vllm", "url": "//host"}]),
        ("engines", [{"name": "x", "engine": "vllm", "url": "http://h:99999"}]),
        ("engines", [{"name": "x", "engine": "vllm", "url": "http://[::1"}]),
        ("redisPassword", 12345),
    ],
)
def test_a_value_that_does_not_fit_is_named_with_its_file(
    file: Path, key: str, value: object
) -> None:
    file.write_text(f"{key}: {value!r}\n".replace("nan", ".nan"))

    with pytest.raises(ConfigError) as caught:
        load(AgentSettings, file=file, env={})

    assert key in str(caught.value)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize("key", ["intervalSecond", "node_name", "1", "missedHeartbeats"])
def test_a_key_that_is_no_setting_is_refused(file: Path, key: str) -> None:
    file.write_text(f"{key}: 1\n")

    with pytest.raises(ConfigError, match=key):
        load(AgentSettings, file=file, env={})


def test_a_wrong_key_does_not_hide_behind_a_right_one(file: Path) -> None:
    file.write_text("redis_url: redis://file\n")

    with pytest.raises(ConfigError, match="redis_url"):
        load(AgentSettings, file=file, env={"CITADEL__REDIS_URL": "redis://env"})


@pytest.mark.parametrize("text", ["- a\n", "just text\n", "a: [\n", "a: !!python/name:os.system\n"])
def test_a_file_that_is_no_mapping_is_refused(file: Path, text: str) -> None:
    file.write_text(text)

    with pytest.raises(ConfigError, match=r"citadel\.yaml"):
        load(AgentSettings, file=file, env={})


def test_a_file_that_is_not_text_is_refused(file: Path) -> None:
    file.write_bytes(b"\xff\xfe\x00")

    with pytest.raises(ConfigError, match=r"citadel\.yaml"):
        load(AgentSettings, file=file, env={})


def test_a_file_that_is_not_there_is_refused(file: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load(AgentSettings, file=file, env={})


def test_a_password_shows_neither_in_the_settings_nor_in_an_error() -> None:
    env = {"CITADEL__REDIS_PASSWORD": "hunter2"}
    settings = load(AgentSettings, env=env)

    assert settings.redis_password is not None
    assert settings.redis_password.get_secret_value() == "hunter2"
    assert "hunter2" not in repr(settings)
    with pytest.raises(ConfigError) as caught:
        load(AgentSettings, env=env | {"CITADEL__REDIS_URL": "wrong://:hunter2@h"})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("secret", ["hun/ter2", "12/hunter2", "hun?ter2", "hun#ter2", "p@hun/ter2"])
def test_a_password_that_would_pass_for_a_host_is_refused_without_telling_it(secret: str) -> None:
    with pytest.raises(ConfigError, match="percent-encoded") as caught:
        load(AgentSettings, env={"CITADEL__REDIS_URL": f"redis://:{secret}@h:6379/0"})
    assert "hun" not in str(caught.value)


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load(AgentSettings, env={}).node_name = "other"  # type: ignore[misc]


@given(st.dictionaries(st.text(max_size=8).map("CITADEL__".__add__), st.text(max_size=8)))
def test_unknown_variables_never_stop_a_process(env: dict[str, str]) -> None:
    assert load(OperatorSettings, env=env) == OperatorSettings()


def test_the_fast_profile_gives_what_is_not_set_of_the_heartbeat() -> None:
    fast = load(OperatorSettings, env={}, profile="fast")
    assert fast.heartbeat == (10.0, 3, 5.0)
    assert load(OperatorSettings, env={}, profile="fast", skew_seconds=7).heartbeat == (10.0, 3, 7)


def test_an_address_for_alerts_is_one_of_http(tmp_path: Path) -> None:
    file = tmp_path / "operator.yaml"
    file.write_text("alerts: {alertmanagerUrl: 'ftp://alerts'}")
    with pytest.raises(ConfigError, match="alertmanagerUrl"):
        load(OperatorSettings, file=file, env={})


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "grafana.example", "//grafana.example", "ftp://x", "https://"]
)
def test_what_the_page_would_link_to_is_a_web_address(url: str, file: Path) -> None:
    file.write_text(f"page:\n  grafanaUrl: {url}\n")
    with pytest.raises(ConfigError, match="grafanaUrl"):
        load(ApiSettings, file=file, env={})


def test_the_page_links_to_grafana_if_that_is_set(file: Path) -> None:
    file.write_text("page:\n  grafanaUrl: https://g.example/d/x?var-node={node}\n")
    settings = load(ApiSettings, file=file, env={})
    assert settings.page.grafana_url == "https://g.example/d/x?var-node={node}"
    assert load(ApiSettings, env={}).page.grafana_url is None
