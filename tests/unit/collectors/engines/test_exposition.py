from citadel_k8s.collectors.engines.exposition import Exposition, Metric

RUNNING = Metric(b"vllm:num_requests_running")
WAITING = Metric(b"vllm:num_requests_waiting")


def test_requests_are_summed_over_replicas_and_other_series_left_alone():
    told = Exposition(
        b"# HELP vllm:num_requests_running x\n"
        b'vllm:num_requests_running{engine="0",model_name="a}b"} 2.0\n'
        b'vllm:num_requests_running{engine="1",model_name="a\\"} 7"} 3 1795430078000\n'
        b'vllm:num_requests_waiting_by_reason{reason="capacity"} 9\n'
        b"vllm:num_requests_waiting 1e1\n"
        b"vllm:num_requests_waiting e-+\n"
    )
    assert told.total(RUNNING) == 5.0
    assert told.total(WAITING) == 10.0


def test_nothing_is_told_by_an_empty_answer():
    assert Exposition(b"").total(RUNNING, WAITING) is None
    assert Exposition(b"").buckets(RUNNING) is None


def test_a_number_that_no_report_can_hold_is_not_known():
    text = b"vllm:num_requests_running 1e999\nvllm:num_requests_waiting 1e308\n"
    assert Exposition(text).total(RUNNING) is None
    assert Exposition(text).total(WAITING) == 1e308
    assert Exposition(text + b"vllm:num_requests_waiting 1e308\n").total(WAITING) is None
    assert Exposition(b"vllm:num_requests_running nan\n").total(RUNNING) is None


def test_the_first_name_that_is_there_counts():
    told = Exposition(b"new 1\nold 2\n")
    assert told.total(Metric(b"newer"), Metric(b"new"), Metric(b"old")) == 1.0
    assert told.total(Metric(b"none"), Metric(b"old", scale=0.5)) == 1.0


def test_only_series_with_the_label_count():
    told = Exposition(b'm{request_type="waiting"} 3\nm{request_type="max"} 512\n')
    assert told.total(Metric(b"m", b'request_type="waiting"')) == 3.0
    assert told.total(Metric(b"m", b'request_type="none"')) is None


def test_what_every_rank_of_a_model_repeats_is_counted_once():
    told = Exposition(
        b'm{tp_rank="0",pp_rank="0",dp_rank="0"} 2\nm{tp_rank="1",pp_rank="0",dp_rank="0"} 2\n'
        b'm{tp_rank="0",pp_rank="0",dp_rank="1"} 3\nm{tp_rank="0",pp_rank="1",dp_rank="1"} 3\n'
    )
    assert told.total(Metric(b"m")) == 5.0


def test_a_histogram_is_summed_over_replicas_and_ends_in_infinity():
    told = Exposition(
        b'h_bucket{engine="0",le="0.5"} 1\nh_bucket{engine="0",le="+Inf"} 2\nh_count 2\n'
        b'h_bucket{engine="1",le="0.5"} 4\nh_bucket{engine="1",le="+Inf"} 5\n'
        b'h_bucket{engine="1"} 5\nh_bucket{le="x"} 5\n'
    )
    assert told.buckets(Metric(b"h", scale=2.0)) == ((1.0, 5.0), (float("inf"), 7.0))


def test_an_engine_that_repeats_itself_without_end_is_not_listened_to_for_long():
    told = Exposition(b"vllm:num_requests_running 1\n" * 100_000)
    assert told.total(RUNNING) == 4096.0
    assert Exposition(b'vllm:num_requests_running{a="' * 100_000).total(RUNNING) is None
