from hashlib import blake2b

from curate.ingesting.known_ids import Bloom, Occurrences, Prefixes, halves_of


def ids(start: int, stop: int) -> list[bytes]:
    return [blake2b(str(i).encode(), digest_size=16).digest() for i in range(start, stop)]


def test_a_bloom_filter_never_denies_what_was_added_and_seldom_doubts_what_was_not():
    bloom = Bloom(50_000)
    bloom.add(halves_of(ids(0, 50_000)))
    assert bloom.may_hold(halves_of(ids(0, 50_000))).all()
    assert bloom.may_hold(halves_of(ids(50_000, 100_000))).mean() < 0.002


def test_prefixes_remember_what_was_added_in_any_number_of_batches():
    met = Prefixes()
    for start in range(0, 1000, 7):
        met.add(halves_of(ids(start, start + 7))[:, 0])
    assert met.holds(halves_of(ids(0, 1000))[:, 0]).all()
    assert not met.holds(halves_of(ids(2000, 3000))[:, 0]).any()


def test_occurrences_do_not_depend_on_how_the_records_come_in_batches():
    one, two, three = ids(0, 3)
    record_ids = [one, two, one, three, two, two, one]
    whole = Occurrences().number(record_ids)
    counter = Occurrences()
    assert [counter.number([id_])[0] for id_ in record_ids] == whole == [0, 0, 1, 0, 1, 2, 2]
