"""Which format results have, and where they go."""

import pytest

from vinscribe.errors import UsageError
from vinscribe.targets import format_of, is_shards

FORMATS = {
    (None, None): "table",
    (None, "csv"): "csv",
    ("vins.jsonl", None): "jsonl",
    ("vins.csv", "csv"): "csv",
    ("shards/", None): "jsonl",
    ("shards/", "parquet"): "parquet",
    ("vins.parquet", None): "parquet",
    ("vins.parquet/", None): "parquet",
    ("s3://office/vins", None): "jsonl",
    ("s3://office/vins.parquet", None): "parquet",
    ("s3://office/vins.jsonl", "jsonl"): "jsonl",
}
WRONG = {
    (None, "parquet"): "--format parquet needs a folder",
    ("vins.txt", None): "a folder of shards ends in a slash",
    ("vins", "parquet"): "a folder of shards ends in a slash",
    ("vins.csv", "jsonl"): "are two formats",
    ("vins.jsonl", "parquet"): "are two formats",
    ("vins.parquet", "jsonl"): "are two formats",
    ("shards/", "csv"): "is a folder of shards, which are jsonl or parquet, not csv",
    ("s3://office/vins.csv", None): "is a folder of shards, which are jsonl or parquet, not csv",
}


@pytest.mark.parametrize("given", list(FORMATS))
def test_the_format_follows_from_the_place(given):
    assert format_of(*given) == FORMATS[given]


@pytest.mark.parametrize("given", list(WRONG))
def test_what_does_not_fit_is_told(given):
    with pytest.raises(UsageError, match=WRONG[given]):
        format_of(*given)


def test_shards():
    assert [is_shards(out) for out in ("a.jsonl", "a.csv", "a", "a/", "a.parquet", "s3://a/b")] == [False] * 3 + [
        True
    ] * 3
