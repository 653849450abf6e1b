"""Kinds of files that people have, each with its right outcome."""

from __future__ import annotations

import csv
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from log_cases import expected, pairs, ratings
from typer.testing import CliRunner

import tfadt
from tfadt.cli.main import app, main
from tfadt.data import artifact
from tfadt.data.account import summary
from tfadt.data.ingest import ingest
from tfadt.errors import ConfigError, DataError


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Warnings are looked up in the manifest."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def write(path: Path, rows: Iterable[Sequence[str]], header: str = "user_id,item_id,rating", separator: str = ",") -> Path:
    lines = [header.replace(",", separator), *(separator.join(row) for row in rows)]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


# Quotes


@pytest.mark.parametrize("suffix", ["csv", "tsv"])
@pytest.mark.parametrize("stray", [(5, 17), (0, 47), (7,), (10, 11), (20, 21, 22)])
def test_stray_quotes_are_text_and_lose_no_row(suffix: str, stray: tuple[int, ...], tmp_path: Path) -> None:
    rows = [[*row, '"7 inch' if n in stray else "Good"] for n, row in enumerate(ratings())]
    separator = "," if suffix == "csv" else "\t"
    data = ingest(write(tmp_path / f"log.{suffix}", rows, "user_id,item_id,rating,title", separator))
    assert pairs(data) == expected(rows)
    assert data.manifest["rows"]["in"] == 48
    assert data.manifest["rows"]["rejected"] == {}
    assert "quotes that do not come in pairs are read as text" in data.manifest["notes"][0]


def test_a_stray_quote_stays_in_the_id(tmp_path: Path) -> None:
    rows = [[user, f'"{item} inch' if item == "3" else item, rating] for user, item, rating in ratings()]
    data = ingest(write(tmp_path / "log.csv", rows))
    assert set(data.items.ids) == {"1", "2", '"3 inch', "4", "5", "6"}


def test_quoted_separators_quotes_and_line_breaks_are_one_field(tmp_path: Path) -> None:
    rows = [[*row, '"a, ""b""\n\nc"' if n % 7 == 0 else '"a, b"'] for n, row in enumerate(ratings())]
    data = ingest(write(tmp_path / "log.csv", rows, "user_id,item_id,rating,title"))
    assert pairs(data) == expected(rows)
    assert data.manifest["rows"]["in"] == 48


def test_stray_quotes_among_fields_of_several_lines_make_no_user(tmp_path: Path) -> None:
    rows = [[*row, '"7 inch' if n in (5, 17) else '"Good,\nvery"'] for n, row in enumerate(ratings())]
    data = ingest(write(tmp_path / "log.csv", rows, "user_id,item_id,rating,title"))
    # Where a field ends cannot be told from one stray quote to the next; what is kept is right.
    found, right = pairs(data), expected(rows)
    assert found.items() <= right.items()
    assert len(found) >= 48 - 13
    account = data.manifest["rows"]
    assert account["in"] == sum(account["kept"].values()) + sum(account["rejected"].values())
    assert set(account["rejected"]) == {"wrong number of fields", "a quote is opened and not closed"}


# Separators and decimal signs


def test_a_decimal_comma_is_rejected_with_the_setting_that_reads_it(tmp_path: Path) -> None:
    rows = [[user, item, f"{rating},5" if item == "2" else rating] for user, item, rating in ratings()]
    path = write(tmp_path / "log.csv", rows, separator=";")
    data = ingest(path)
    assert data.manifest["rows"]["rejected"] == {"rating not a number": 8}
    assert data.manifest["rows"]["sources"][0]["samples"]["rating not a number"][0] == {"line": 3, "text": "1;2;1,5"}
    assert data.manifest["notes"] == ["are these decimal commas? ingest.decimal_separator = ','"]
    data = ingest(path, decimal_separator=",")
    assert data.manifest["rows"]["rejected"] == {}
    assert pairs(data) == expected([user, item, rating[0]] for user, item, rating in rows)


def test_decimal_commas_in_every_row_are_an_error_that_names_the_setting(tmp_path: Path) -> None:
    path = write(tmp_path / "log.csv", [[*row[:2], f'"{row[2]},5"'] for row in ratings()])
    with pytest.raises(DataError, match=r"rating not a number: 48.*ingest\.decimal_separator = ','"):
        ingest(path)
    assert len(pairs(ingest(path, decimal_separator=","))) == 48


@pytest.mark.parametrize("separator", [";", "|", "::", " ", "\t", "\x01", "^", "||", ".", "\\"])
def test_any_separator_may_be_set(separator: str, tmp_path: Path) -> None:
    path = write(tmp_path / "log.txt", ratings(), separator=separator)
    assert pairs(ingest(path, separator=separator)) == expected(ratings())


@pytest.mark.parametrize("line_break", ["\n", "\r\n"])
def test_an_empty_last_field_in_every_row_is_none(line_break: str, tmp_path: Path) -> None:
    text = line_break.join(["user_id,item_id,rating", *(",".join([*row, ""]) for row in ratings()), ""])
    (tmp_path / "log.csv").write_bytes(text.encode())
    assert pairs(ingest(tmp_path / "log.csv")) == expected(ratings())


@pytest.mark.parametrize("again", ["user_id,item_id", '"user_id","item_id"'])
def test_a_header_that_returns_is_no_row(again: str, tmp_path: Path) -> None:
    rows = [[user, item] for user, item, _ in ratings()]
    data = ingest(write(tmp_path / "log.csv", [*rows[:20], [again], *rows[20:]], "user_id,item_id"))
    assert data.manifest["rows"]["rejected"] == {"repeated header": 1}
    assert data.users.ids.tolist() == list(range(1, 9))


# Ids


@pytest.mark.parametrize("text", ["", "N/A", "#N/A", "\\N", "(null)", "NULL", "null", "None", "NaN", "NA", "<NA>"])
def test_a_text_that_means_missing_is_no_id(text: str, tmp_path: Path) -> None:
    rows = [[text if user == "3" else user, text if item == "1" else item, rating] for user, item, rating in ratings()]
    data = ingest(write(tmp_path / "log.csv", rows))
    assert data.manifest["rows"]["rejected"] == {"user_id missing": 6, "item_id missing": 7}
    assert data.users.ids.tolist() == [1, 2, 4, 5, 6, 7, 8]
    assert data.items.ids.tolist() == [2, 3, 4, 5, 6]


def test_whole_decimals_are_the_integer_id(tmp_path: Path) -> None:
    rows = [[f"{user}.000000000", f"{item}.0", rating] for user, item, rating in ratings()]
    assert pairs(ingest(write(tmp_path / "log.csv", rows))) == expected(ratings())


# Several files


def test_several_files_are_one_log_in_any_order(tmp_path: Path) -> None:
    halves = [write(tmp_path / f"{n}.csv", ratings()[24 * n : 24 * n + 24]) for n in (0, 1)]
    whole = write(tmp_path / "whole.csv", ratings())
    arguments = ["ingest", "--quiet", "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, [*arguments, "--data", str(halves[0]), "--data", str(halves[1])])
    assert result.exit_code == 0, result.output
    data = artifact.load(tmp_path / "out")
    assert pairs(data) == expected(ratings())
    assert [source["in"] for source in data.manifest["rows"]["sources"]] == [24, 24]
    same = [ingest(whole), ingest(halves[::-1]), ingest(str(tmp_path / "[01].csv"))]
    assert {other.manifest["fingerprint"] for other in same} == {data.manifest["fingerprint"]}


# Times

MARCH_AND_NOVEMBER = {
    "UTC suffix": ("2020-03-01 10:00:00 UTC", "2019-11-02 10:00:00 UTC"),
    "zone": ("2020-03-01T10:00:00Z", "2019-11-02T10:00:00+01:00"),
    "zone without colon": ("2020-03-01 10:00:00 +0100", "2019-11-02T10:00:00-0330"),
    "day": ("2020-03-01", "2019-11-02"),
    "fraction": ("2020-03-01 10:00:00.5", '"2019-11-02 10:00:00,123"'),
    "ms and s mixed": ("1583056800000", "1572688800"),
    "us and ns mixed": ("1583056800000000", "1572688800000000000"),
    "float": ("1.5830568e9", "1572688800.25"),
}


@pytest.mark.parametrize("times", MARCH_AND_NOVEMBER.values(), ids=MARCH_AND_NOVEMBER)
def test_the_latest_row_counts_however_times_are_written(times: tuple[str, str], tmp_path: Path) -> None:
    march, november = times
    rows = [row for user, item, _ in ratings(3, 3) for row in ([user, item, "5", march], [user, item, "1", november])]
    data = ingest(write(tmp_path / "log.csv", rows, "user_id,item_id,rating,timestamp"))
    assert data.manifest["rows"]["in"] == 18
    assert data.manifest["rows"]["rejected"] == {"duplicate pair": 9}
    assert list(pairs(data).values()) == [False] * 9
    assert data.manifest["times"] == {"untimed": 0, "unreadable": 0}


def test_times_of_another_form_are_counted_and_read_by_the_setting(tmp_path: Path) -> None:
    rows = [[*row, "2/11/2019 1:05 PM"] for row in ratings()]
    later = ["1", "1", "1", "3/1/2020 9:00 AM"]
    path = write(tmp_path / "log.csv", [later, *rows], "user_id,item_id,rating,timestamp")
    data = ingest(path)
    # Of the pair that stands there twice nothing can be told; for the others times decide nothing.
    reason = "timestamp missing, or no number and no ISO 8601 date"
    assert data.manifest["rows"]["rejected"] == {reason: 2}
    assert data.manifest["times"]["unreadable"] > 0
    assert any("ingest.timestamp_format" in note for note in data.manifest["notes"])
    for split in ("time", "leave_last_out"):
        with pytest.raises(DataError, match=rf"{reason}: 49.*'1,1,1,3/1/2020 9:00 AM'.*ingest\.timestamp_format"):
            ingest(path, split={"method": split})
    data = ingest(path, timestamp_format="%m/%d/%Y %I:%M %p")
    assert data.manifest["rows"]["rejected"] == {"duplicate pair": 1}
    assert pairs(data)[1, 1] is True


def daily(path: Path, sizes: Sequence[int]) -> Path:
    """Writes every user with every item; each day has so many times 8 rows, among them every user and every item."""
    days = [f"2020-01-{day:02}" for day, size in enumerate(sizes, 1) for _ in range(size)]
    rows = [[user, item, days[(int(user) + int(item)) % 8]] for user, item, _ in ratings(8, 8)]
    return write(path, rows, "user_id,item_id,timestamp")


@pytest.mark.parametrize(
    ("sizes", "split"),
    [((3, 3, 2), (24, 24, 16)), ((6, 1, 1), (48, 8, 8)), ((1, 1, 6), (8, 8, 48)), ((2, 1, 2, 1, 1, 1), (48, 8, 8))],
)
def test_equal_times_stay_in_one_split_and_none_is_empty(
    sizes: tuple[int, ...], split: tuple[int, int, int], tmp_path: Path
) -> None:
    data = ingest(daily(tmp_path / "log.csv", sizes), split={"method": "time"})
    # Sums of whole days; each border is the nearest to the share that is asked for.
    assert (len(data.train), len(data.valid), len(data.test)) == split
    assert data.manifest["rows"]["rejected"] == {}


def test_fewer_times_than_splits_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"log\.csv has 2 distinct times\. Expected at least 3"):
        ingest(daily(tmp_path / "log.csv", (4, 4)), split={"method": "time"})
    data = ingest(tmp_path / "log.csv", split={"method": "time", "valid": 0})
    assert (len(data.train), len(data.valid), len(data.test)) == (32, 0, 32)


# Feedback that is not what it seems


@pytest.mark.parametrize("none", ["0", "-1"])
def test_half_of_the_ratings_that_mean_none_are_warned_of(none: str, tmp_path: Path) -> None:
    rows = [[user, item, none if (int(user) + int(item)) % 2 else "9"] for user, item, _ in ratings(20, 10)]
    path = write(tmp_path / "log.csv", rows)
    (warning,) = ingest(path).manifest["warnings"]
    assert f"{none} (50%)" in warning
    assert f"ingest.missing_values.rating = ['{none}']" in warning
    data = ingest(path, missing_values={"rating": [none]})
    assert data.manifest["rows"]["rejected"] == {"rating missing": 100}
    assert set(pairs(data).values()) == {False}


def test_too_few_rows_are_told_with_the_doubtful_feedback(tmp_path: Path) -> None:
    rows = [["1", "1", "0"], ["1", "2", "0"], ["2", "1", "0"], ["4", "2", "9"], ["3", "1", "0"], ["3", "2", "0"]]
    with pytest.raises(DataError, match=r"The most common values: 0 \(83%\).*missing_values\.rating = \['0'\]"):
        ingest(write(tmp_path / "log.csv", rows))


def test_dwell_times_in_milliseconds_are_warned_of(tmp_path: Path) -> None:
    rows = [[user, item, str(int(rating) * 1500)] for user, item, rating in ratings()]
    path = write(tmp_path / "log.csv", rows, "user_id,item_id,dwell_time")
    with pytest.warns(UserWarning, match=r"1500 seconds: were these milliseconds\? ingest\.dwell_time_unit = 'ms'"):
        data = ingest(path)
    assert len(data.manifest["warnings"]) == 1
    data = ingest(path, dwell_time_unit="ms", feedback={"dwell_time_below": 4})
    assert data.manifest["warnings"] == []
    assert pairs(data) == {(int(user), int(item)): int(rating) < 3 for user, item, rating in ratings()}


@pytest.mark.parametrize(
    ("labels", "values"),
    [(("0", "1"), r"values 0 \.\. 1, and ingest\.feedback\.rating_below is 3"), (("N", "Y"), "'1,1,Y'")],
)
def test_labels_that_are_no_ratings_are_an_error_with_the_values_seen(
    labels: tuple[str, str], values: str, tmp_path: Path
) -> None:
    rows = [[user, item, labels[int(rating) > 2]] for user, item, rating in ratings()]
    with pytest.raises(DataError, match=values):
        ingest(write(tmp_path / "log.csv", rows))


# Encodings and control characters


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_text_with_a_byte_order_mark_is_read(encoding: str, tmp_path: Path) -> None:
    rows = [[f"ü{user}", *others] for user, *others in ratings()]
    text = write(tmp_path / "log.csv", rows).read_text(encoding="utf-8")
    mark = "\ufeff" if encoding in ("utf-16-le", "utf-16-be") else ""
    (tmp_path / "log.csv").write_bytes((mark + text).encode(encoding))
    data = ingest(tmp_path / "log.csv")
    assert data.users.ids.tolist() == [f"ü{user}" for user in range(1, 9)]
    assert len(pairs(data)) == 48


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_its_mark_is_refused_by_name_and_read_by_the_setting(encoding: str, tmp_path: Path) -> None:
    text = write(tmp_path / "log.csv", ratings()).read_text(encoding="utf-8")
    (tmp_path / "log.csv").write_bytes(text.encode(encoding))
    with pytest.raises(DataError, match=r"log\.csv, line 1: NUL characters\..*ingest\.encoding = 'utf-16'"):
        ingest(tmp_path / "log.csv")
    assert pairs(ingest(tmp_path / "log.csv", encoding="utf-16")) == expected(ratings())


def test_latin_1_is_read_by_the_setting(tmp_path: Path) -> None:
    rows = [[*row, "é" if n % 3 == 0 else "e"] for n, row in enumerate(ratings())]
    path = write(tmp_path / "log.csv", rows, "user_id,item_id,rating,title")
    path.write_bytes(path.read_text(encoding="utf-8").encode("latin-1"))
    data = ingest(path)
    assert data.manifest["rows"]["rejected"] == {"not utf-8 text": 16}
    assert any("ingest.encoding" in note for note in data.manifest["notes"])
    assert pairs(ingest(path, encoding="latin-1")) == expected(rows)


@pytest.mark.parametrize("place", ["header", "row", "name"])
def test_control_characters_of_a_file_do_not_reach_the_terminal(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sign = "\x1b[31m"
    rows = [["1", "1", f"{sign}x" if place == "row" else "x"], ["1", "2", "x"]]
    path = tmp_path / (f"{sign}.csv" if place == "name" else "log.csv")
    write(path, rows, f"user_id,{sign if place == 'header' else 'item_id'},rating")
    monkeypatch.setattr("sys.argv", ["tfadt", "ingest", "--data", str(path), "--out", str(tmp_path / "out")])
    with pytest.raises(SystemExit, match="2"):
        main()
    shown = capsys.readouterr()
    assert "\x1b" not in shown.out + shown.err
    assert r"\x1b[31m" in shown.err


# Python


def test_a_path_may_be_text(tmp_path: Path) -> None:
    path = write(tmp_path / "log.csv", ratings())
    assert tfadt.ingest(str(path)).manifest["fingerprint"] == tfadt.ingest(path).manifest["fingerprint"]
    with pytest.raises(DataError, match=r"x\.csv does not exist"):
        tfadt.ingest("x.csv")
    with pytest.raises(ConfigError, match=r"x\.toml does not exist"):
        tfadt.load_config("x.toml")


# The account


def test_every_rejected_row_is_written_on_request(tmp_path: Path) -> None:
    rows = [*ratings(), ["", "1", "5"], ["9", "1", "x"], ["1", "1", "4"], ["1", "2"]]
    data = ingest(write(tmp_path / "log.csv", rows), rejected=tmp_path / "rejected.csv")
    with (tmp_path / "rejected.csv").open(encoding="utf-8", newline="") as file:
        written = list(csv.DictReader(file))
    assert [(int(row["line"]), row["reason"], row["text"]) for row in written] == [
        (2, "duplicate pair", "1,1,5"),
        (50, "user_id missing", ",1,5"),
        (51, "rating not a number", "9,1,x"),
        (53, "wrong number of fields", "1,2"),
    ]
    assert sum(data.manifest["rows"]["rejected"].values()) == 4
    lines = summary(data.manifest)
    assert any(re.fullmatch(r"rejected, user_id missing: 1 \(line 50: ',1,5'\)", line) for line in lines)


def test_an_id_with_a_nul_is_rejected(tmp_path: Path) -> None:
    ids = ["1", "2", r"a\u0000b"]
    lines = [f'{{"user_id": "{user}", "item_id": {item}}}\n' for user in ids for item in range(4)]
    (tmp_path / "log.jsonl").write_text("".join(lines), encoding="utf-8")
    frame = pd.DataFrame({"user_id": np.repeat(["1", "2", "a\0b"], 4), "item_id": np.tile(np.arange(4), 3)})
    for data in (ingest(tmp_path / "log.jsonl"), ingest(frame)):
        assert data.manifest["rows"]["rejected"] == {"user_id with a control character": 4}
        assert data.users.ids.tolist() == [1, 2]


def test_files_of_one_name_are_told_apart_in_the_account(tmp_path: Path) -> None:
    paths = [tmp_path / f"country={name}" / "part.csv" for name in ("NO", "SE")]
    for path, rows in zip(paths, (ratings()[:24], [*ratings()[24:], ["", "1", "5"]]), strict=True):
        path.parent.mkdir()
        write(path, rows)
    sources = ingest(tmp_path).manifest["rows"]["sources"]
    assert [(source["name"], source["in"]) for source in sources] == [(str(paths[0]), 24), (str(paths[1]), 25)]
    kept = ingest(tmp_path, where="country = 'NO'").manifest["rows"]
    assert kept["rejected"] == {"left out by where": 25}
