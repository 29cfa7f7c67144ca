import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from citadel_k8s.collectors.engines import DEFAULT_PORTS, KNOWN_PORTS
from citadel_k8s.collectors.engines.commands import kind_of
from citadel_k8s.collectors.engines.targets import Target, find_targets
from citadel_k8s.config.agent import EngineEndpoint
from citadel_k8s.models.readings import Listener, Pod

VLLM = "/opt/venv/bin/python /opt/venv/bin/vllm serve org/m --port 8000"


def pod(uid: str = "u1", ip: str | None = "10.1.2.3", **annotations: str) -> Pod:
    said = tuple((f"fabric.aceteam.ai/{k}", v) for k, v in annotations.items())
    return Pod(uid, "ml", f"pod-{uid}", (("c1", "main"),), ip, annotations=said)


def listener(port: int = 8000, command: str | None = VLLM, **more) -> Listener:
    return Listener(port, more.pop("address", "127.0.0.1"), more.pop("pid", 7), command, **more)


def endpoint(url: str, name: str = "mine", engine: str = "vllm") -> EngineEndpoint:
    return EngineEndpoint(name=name, engine=engine, url=url)


def urls(targets: tuple[Target, ...]) -> list[str]:
    return [str(t.url) for t in targets]


@pytest.mark.parametrize(
    ("kind", "command"),
    [
        ("vllm", VLLM),
        ("vllm", "python3 -m vllm.entrypoints.openai.api_server --model m"),
        ("vllm", "VLLM::APIServer_0"),
        (None, "VLLM::EngineCore"),
        (None, "VLLM::Worker_TP0"),
        (None, "python -B -c from multiprocessing.resource_tracker import main;main(32)"),
        ("sglang", "python3 -m sglang.launch_server --model-path m --port 30000"),
        ("sglang", "sglang serve m"),
        (None, "sglang::scheduler_TP0"),
        ("ollama", "/usr/bin/ollama serve"),
        (None, "/usr/bin/ollama runner --model /m --port 44301"),
        ("llamacpp", "/srv/bin/llama-server --model /m.gguf --port 18080"),
        ("llamacpp", "sh -c llama-server -m x"),
        ("openai", "python -m llama_cpp.server --model m"),
        ("openai", "python3 -m vllm_nvext.entrypoints.openai.api_server"),
        ("openai", "trtllm-serve m --port 8000"),
        ("tgi", "text-generation-router --port 80"),
        ("tgi", "text-generation-launcher --model-id m"),
        ("tei", "text-embeddings-router --model-id m --port 80"),
        ("triton", "tritonserver --model-repository=/models"),
        ("lmdeploy", "/usr/bin/python3 /usr/local/bin/lmdeploy serve api_server m"),
        ("infinity", "infinity_emb v2 --model-id m"),
        ("transformers", "/venv/bin/python /venv/bin/transformers serve"),
        ("transformers", "transformers-cli serve"),
        ("postgres", "/usr/lib/postgresql/16/bin/postgres -D /data"),
        (None, "postgres: checkpointer"),
        ("redis", "redis-server *:6379"),
        ("redis", "/usr/bin/valkey-server 127.0.0.1:6379"),
        (None, "nginx: master process nginx"),
        (None, "python train.py --data vllm-serve-logs"),
        (None, None),
    ],
)
def test_a_command_line_says_which_family_it_starts(kind: str | None, command: str | None):
    assert kind_of(command) == kind


def test_the_configured_come_first_and_are_told_as_configured():
    (target,) = find_targets([endpoint("http://vllm.ml.svc:8000")])
    assert (target.configured, target.kind, target.name) == (True, "vllm", "mine")


def test_one_service_is_one_target_however_many_ways_lead_to_it():
    (target,) = find_targets(
        [endpoint("http://localhost:8000")],
        listeners=[listener(pod_uid="u1", container_id="c1")],
        pods=[pod(engine="vllm", port="8000")],
        ports=[("vllm", 8000)],
    )
    assert target.configured
    assert (target.pid, target.pod_uid, target.container_id) == (7, "u1", "c1")
    assert target.pod is not None
    assert target.pod.name == "pod-u1"


def test_a_listener_of_a_pod_and_the_pods_own_word_are_one():
    (target,) = find_targets(
        [],
        listeners=[listener(address="10.1.2.3", pod_uid="u1")],
        pods=[pod(engine="vllm", port="8000", name="big")],
    )
    assert (str(target.url), target.name, target.sure) == ("http://10.1.2.3:8000", "big", True)


def test_a_pod_on_the_hosts_network_is_the_same_as_its_listener_on_loopback():
    pods = [pod("u1", "192.0.2.1", engine="vllm", port="8000"), pod("u2", "192.0.2.1")]
    (target,) = find_targets([], listeners=[listener()], pods=pods, ports=[("vllm", 8000)])
    assert (str(target.url), target.pid) == ("http://192.0.2.1:8000", 7)
    (target,) = find_targets([endpoint("http://192.0.2.1:8000")], pods=pods, listeners=[listener()])
    assert target.configured


def test_the_same_port_of_two_pods_is_two_services():
    listeners = [
        listener(address="10.1.2.3", pod_uid="u1"),
        listener(address="10.1.2.4", pod_uid="u2", pid=8),
    ]
    targets = find_targets([], listeners=listeners, pods=[pod("u1"), pod("u2", "10.1.2.4")])
    assert [t.pod.name for t in targets if t.pod] == ["pod-u1", "pod-u2"]


def test_two_configured_ways_to_ask_one_port_are_both_kept():
    endpoints = [
        endpoint("http://127.0.0.1:8000"),
        endpoint("http://127.0.0.1:8000/ping", "ping", "http"),
    ]
    assert len(find_targets(endpoints)) == 2


@pytest.mark.parametrize(
    ("said", "ip", "url"),
    [
        ({"engine": "vllm", "port": "9000"}, "10.1.2.3", "http://10.1.2.3:9000"),
        ({"engine": "ollama"}, "10.1.2.3", "http://10.1.2.3:11434"),
        ({"engine": "vllm"}, "fd00::1", "http://[fd00::1]:8000"),
        ({"engine": "postgres"}, "10.1.2.3", "tcp://10.1.2.3:5432"),
        ({"engine": "http", "port": "81"}, "10.1.2.3", "http://10.1.2.3:81"),
        ({"engine": "http"}, "10.1.2.3", None),
        ({"engine": "nonsense", "port": "80"}, "10.1.2.3", None),
        ({"port": "80"}, "10.1.2.3", None),
        ({"engine": "vllm", "port": "80/x"}, "10.1.2.3", "http://10.1.2.3:8000"),
        ({"engine": "vllm", "port": "0"}, "10.1.2.3", None),
        ({"engine": "vllm", "port": "70000"}, "10.1.2.3", None),
        ({"engine": "vllm"}, None, None),
        ({"engine": "vllm"}, "169.254.169.254", None),
        ({"engine": "vllm"}, "0.0.0.0", None),
        ({"engine": "vllm"}, "224.0.0.1", None),
        ({"engine": "vllm"}, "example.org", None),
    ],
)
def test_a_pod_names_its_engine_and_port_and_nothing_outside_itself(said, ip, url):
    targets = find_targets([], pods=[pod(ip=ip, **said)])
    assert urls(targets) == ([] if url is None else [url])


def test_a_pod_may_name_its_engine_by_labels():
    labelled = Pod("u1", "ml", "p", ip="10.1.2.3", labels=(("fabric.aceteam.ai/engine", "tei"),))
    assert urls(find_targets([], pods=[labelled])) == ["http://10.1.2.3:3000"]


def test_an_engines_other_ports_are_left_alone():
    several = [listener(8000), listener(29500), listener(43210), listener(5557, "VLLM::EngineCore")]
    assert urls(find_targets([], listeners=several)) == ["http://127.0.0.1:8000"]


def test_an_engine_that_names_no_port_is_asked_at_its_usual_one_or_its_only_one():
    command = "ollama serve"
    both = [listener(11434, command), listener(9999, command)]
    assert urls(find_targets([], listeners=both)) == ["http://127.0.0.1:11434"]
    assert urls(find_targets([], listeners=both[1:])) == ["http://127.0.0.1:9999"]


def test_an_ollamas_runner_is_no_service():
    runner = listener(44301, "ollama runner --model /m --port 44301", pid=8)
    assert find_targets([], listeners=[runner]) == ()


def test_databases_are_looked_for_only_where_that_is_asked_for():
    found = [listener(5432, "postgres -D /data"), listener(6379, "redis-server *:6379", pid=8)]
    assert find_targets([], listeners=found) == ()
    targets = find_targets([], listeners=found, databases=True)
    assert [(t.kind, str(t.url)) for t in targets] == [
        ("postgres", "tcp://127.0.0.1:5432"),
        ("redis", "tcp://127.0.0.1:6379"),
    ]


@pytest.mark.parametrize("port", [22, 5432, 6379, 2379, 29500, 44301])
def test_a_port_that_speaks_no_http_is_not_asked_what_it_is(port: int):
    assert find_targets([], listeners=[listener(port, "python train.py")]) == ()


def test_a_program_that_nobody_knows_is_asked_last():
    found = [listener(8080, "python app.py", pid=1), listener(8000, pid=2)]
    assert [t.kind for t in find_targets([], listeners=found)] == ["vllm", None]


def test_no_address_outside_this_node_is_asked_unless_it_is_configured():
    outside = [listener(address=a) for a in ("169.254.169.254", "metadata.internal", "0.0.0.0")]
    assert find_targets([], listeners=outside) == ()


ADDRESSES = st.sampled_from(["127.0.0.1", "10.1.2.3", "10.1.2.4", "192.0.2.1", "fd00::1"])
PORTS = st.sampled_from([8000, 8001, 11434])
COMMANDS = st.sampled_from([None, "app", "vllm serve m", "vllm serve m --port 8001"])
LISTENERS = st.builds(
    Listener,
    port=PORTS,
    address=ADDRESSES,
    pid=st.integers(1, 4) | st.none(),
    command=COMMANDS,
    pod_uid=st.sampled_from([None, "u1", "u2"]),
)


@hypothesis.settings(max_examples=60)
@given(
    st.lists(st.builds("http://{}:{}".format, st.sampled_from(["localhost", "10.1.2.3"]), PORTS)),
    st.lists(LISTENERS, max_size=8),
    st.lists(ADDRESSES, max_size=3),
)
def test_no_find_is_ever_at_the_same_place_as_another(configured, listeners, ips):
    endpoints = [endpoint(url, f"e{n}") for n, url in enumerate(configured)]
    pods = [pod(f"u{n}", ip, engine="vllm") for n, ip in enumerate(ips)]
    targets = find_targets(
        endpoints, listeners=listeners, pods=pods, ports=[("vllm", 8000), ("ollama", 11434)]
    )
    assert [t.name for t in targets if t.configured] == [e.name for e in endpoints]
    finds = [str(t.url) for t in targets if not t.configured]
    assert len(finds) == len(set(finds))
    assert not {url.replace("localhost", "127.0.0.1") for url in configured} & set(finds)
    assert len({t.key for t in targets if not t.configured}) == len(finds)


def test_every_usual_port_is_known_once():
    assert {port for _, port in DEFAULT_PORTS} <= set(KNOWN_PORTS)
    assert len(KNOWN_PORTS) == len(set(KNOWN_PORTS))
    assert 5432 in KNOWN_PORTS
