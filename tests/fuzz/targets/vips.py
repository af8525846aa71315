"""The statements of nodes about VIPs, and the records of VIPs."""

from eccmgr.commands.rendering import iso_time
from eccmgr.duravip.beliefs import belief_about, inflate, pack, parts_of, unpack
from eccmgr.duravip.holds import Hold
from eccmgr.duravip.records import VipRecord
from eccmgr.duravip.shares import MAX_VIPS
from eccmgr.duravip.statements import Said, Statement, dump_unable, parse_unable
from eccmgr.duravip.states import assess
from eccmgr.errors import Unreadable
from tests.fuzz.target import fuzzed, in_two, text_of
from worker.duravip.beliefs import read_upto
from worker.duravip.model.table import Participant, Row, VipTable
from worker.duravip.rendering import as_text, as_xml, impediments, table_facts


@fuzzed(Unreadable, words=(b"\t", b"#ec0-1-a#east1\t5\t1\t\tplumbed", b"\t9999999999999999\t1\teast2\t"))
def vip_record(data: bytes) -> None:
    """A VIP's record is written back as it was."""
    record = VipRecord.parse(text_of(data))
    assert VipRecord.parse(record.dump()) == record
    assert len(f"{record.owner}{record.to}{record.reason}".splitlines()) <= 1


@fuzzed(Unreadable, words=(b"\t", b"5\t1795889120685\teast1\twest1", b"\t99999999999999999\t"))
def vip_hold(data: bytes) -> None:
    """Since when a VIP is held is shown in one line."""
    hold = Hold.parse(data)
    assert len(f"{hold.node}{hold.before}{iso_time(hold.since_ms)}".splitlines()) == 1


@fuzzed(
    Unreadable, words=(b'[1,0.02,1.5,"[', b'[\\"10.1.1.1\\",[\\"v1\\"],null,null,\\"\\"]', b"\\\\n", b"1e308", b']"]')
)
def vip_statement(data: bytes) -> None:
    """A node's statement of its VIPs can be assessed and shown, and is written back as it was."""
    stated = Statement.parse(text_of(data))
    assert Statement.parse(stated.dump()) == stated
    assert len(stated.shares) <= MAX_VIPS
    standings = assess({"east1": stated.shares, "east2": {}})
    for standing in standings.values():
        assert len(f"{standing.names}{standing.reason}{standing.preference}".splitlines()) == 1
        assert all(len(name.splitlines()) <= 1 for name in standing.names)


@fuzzed(Unreadable, words=(b"10.1.1.1 10.1.1.2\t", b"eth1 is down", b"\n", b"fe80::1%eth0", b"\t\t"))
def vip_unable(data: bytes) -> None:
    """The VIPs that a node cannot carry are shown in one line for each reason."""
    text = text_of(data)
    unable = parse_unable(text)
    written = dump_unable(unable)
    assert dump_unable(parse_unable(written)) == written
    assert all(len(line.splitlines()) == 1 for line in impediments(unable, 1))
    said = Said()
    for kind in "@~!":
        said.hear(f"{kind}east1", text)


@fuzzed(Unreadable, words=(b"1 #ec0-1-a#east1 x\x9c", b'[["10.1.1.1",["v"],"owned","safe","east1"]]', b"\\n"))
def vip_beliefs(data: bytes) -> None:
    """A node's beliefs about VIPs fill the tables that scripts and people read."""
    read_upto({b"east1": data})
    _, session, packed = parts_of(data) if data[:1].isdigit() else (0, "#a", data)
    beliefs = unpack(packed)
    assert unpack(pack(beliefs)) == beliefs
    text = inflate(pack(beliefs))
    assert all(belief_about(address, text) == belief for address, belief in beliefs.items())
    rows = [Row(address, belief, 1, ("east1",)) for address, belief in beliefs.items()]
    table = VipTable(rows, [Participant("east1", session, session, beliefs)])
    as_xml(table)
    table_facts(table)
    assert len(as_text(table).splitlines()) <= 1 + 6 * len(rows)


@fuzzed(Unreadable, words=(b"\0@east1", b"\0~east1", b"\0!east1", b"\x0010.1.1.1\0"))
def vip_page(data: bytes) -> None:
    """A name and a text from a page of changes."""
    from worker.duravip.calls import _entries

    first, second = in_two(data)
    records, said = _entries([first, second])
    heard = Said()
    for name, text in said:
        heard.hear(name, text)
    assert len(records) + len(said) <= 1
