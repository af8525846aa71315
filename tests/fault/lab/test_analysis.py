"""The analysis, on made-up records: rounds of 10 ms, and answers 0.1 ms after their requests."""

from collections.abc import Iterable

from tests.fault.lab.analysis import (
    MS,
    Answer,
    Echo,
    Gap,
    Records,
    answered_twice,
    holders,
    longest_gap,
    overlap_ns,
    spans,
    steady_holder,
)

VIP = "10.77.1.1"


def seen(rounds: int, **who: Iterable[int]) -> Records:
    """The records of the rounds 0 … `rounds` - 1, of which each host answered some."""
    answers = [Answer(n * 10 * MS, n * 10 * MS + MS // 10, VIP, host) for host, numbers in who.items() for n in numbers]
    answers.sort(key=lambda each: each.heard)
    return Records(
        [n * 10 * MS for n in range(rounds)], answers, [Echo(a.asked, a.heard, VIP, a.host) for a in answers]
    )


def test_host_holds_from_first_to_last_answered_request() -> None:
    (span,) = spans(seen(10, east1=range(2, 6)), VIP)
    assert (span.host, span.begin, span.end) == ("east1", 20 * MS + MS // 10, 50 * MS)


def test_round_without_an_answer_ends_known_holding() -> None:
    assert [(s.begin // MS, s.end // MS) for s in spans(seen(20, east1=[0, 1, 2, 4, 5, 6]), VIP)] == [(0, 20), (40, 60)]


def test_one_answer_alone_is_no_time() -> None:
    assert spans(seen(5, east1=[2]), VIP) == []


def test_handover_between_rounds_is_no_overlap() -> None:
    records = seen(20, east1=range(10), east2=range(10, 20))
    assert overlap_ns(spans(records, VIP)) == 0
    assert answered_twice(records, VIP) == []


def test_two_that_answer_the_same_rounds_overlap() -> None:
    records = seen(20, east1=range(12), east2=range(8, 20))
    assert overlap_ns(spans(records, VIP)) == 30 * MS - MS // 10
    assert answered_twice(records, VIP) == [80 * MS, 90 * MS, 100 * MS, 110 * MS]


def test_three_at_once_are_not_counted_thrice() -> None:
    assert overlap_ns(spans(seen(20, a=range(20), b=range(20), c=range(20)), VIP)) == 190 * MS - MS // 10


def test_round_answered_by_two_is_seen_without_overlap() -> None:
    records = seen(20, east1=range(11), east2=range(10, 20))
    assert overlap_ns(spans(records, VIP)) == 0
    assert answered_twice(records, VIP) == [100 * MS]


def test_hosts_that_take_turns_do_not_overlap() -> None:
    assert overlap_ns(spans(seen(20, east1=range(0, 20, 2), east2=range(1, 20, 2)), VIP)) == 0


def test_another_address_is_not_counted() -> None:
    records = seen(20, east1=range(20))
    records.answers += [Answer(a.asked, a.heard, "10.77.1.2", "east2") for a in records.answers]
    assert overlap_ns(spans(records, VIP)) == 0
    assert answered_twice(records, VIP) == []


def test_longest_silence_touches_the_requested_time() -> None:
    heard = [0, 10, 20, 500, 510, 525, 530]
    assert longest_gap(heard, 505, 530) == Gap(510, 525)
    assert longest_gap(heard, 30, 530) == Gap(20, 500)
    assert longest_gap(heard, 0, 15) == Gap(0, 10)


def test_a_silence_that_has_not_ended_says_so() -> None:
    assert longest_gap([0, 10, 20], 5, 900) == Gap(20, 900, open=True)
    assert longest_gap([], 5, 900) == Gap(5, 900, open=True)


def test_who_held_in_which_order() -> None:
    records = seen(30, east1=range(10), east2=range(15, 30))
    assert holders(records, VIP, 0, 300 * MS) == ["east1", "east2"]
    assert holders(records, VIP, 150 * MS, 300 * MS) == ["east2"]


def test_steady_holder_answers_alone_and_serves() -> None:
    assert steady_holder(seen(30, east1=range(30)), VIP, 0, 300 * MS) == "east1"
    assert steady_holder(seen(30, east1=range(0, 30, 2)), VIP, 0, 300 * MS) is None
    assert steady_holder(seen(30, east1=range(30), east2=range(29, 30)), VIP, 0, 300 * MS) is None
    silent = seen(30, east1=range(30))
    silent.echoes.clear()
    assert steady_holder(silent, VIP, 0, 300 * MS) is None


def test_the_prober_s_lines_are_read() -> None:
    records = Records()
    lines = ["R 100 0", "A 100 150 10.77.1.1 02:77:00:00:00:0b", "E 100 160 10.77.1.1 east1"]
    lines += ["G 170 10.77.1.1 02:77:00:00:00:0c", "L 900"]
    records.read(lines, {"02:77:00:00:00:0b": "east1", "02:77:00:00:00:0c": "east2"})
    assert records.rounds == [100]
    assert records.answers == [Answer(100, 150, VIP, "east1")]
    assert records.echoes == [Echo(100, 160, VIP, "east1")]
    assert records.announced == [Answer(170, 170, VIP, "east2")]
    assert records.late == 1
