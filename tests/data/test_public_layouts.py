"""The lines of docs/ingest.md that read public data sets, each on a small made-up file of that set's shape."""

from __future__ import annotations

import gzip
import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from typer.testing import CliRunner

from tfadt.cli.main import app
from tfadt.data import artifact
from tfadt.data.interactions import InteractionData

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "ingest.md").read_text(encoding="utf-8")
LINES = dict(re.findall(r"^\| ([^|]+) \| [^|]+ \| `(tfadt ingest .+)` \|$", PAGE, re.MULTILINE))
PREPARATION = re.findall(r"^awk .+ > (\S+)$", PAGE, re.MULTILINE)
WHERE, NO_RATING, NO_DWELL_TIME = "left out by where", "rating missing", "dwell_time missing"


class Click(NamedTuple):
    """What one row says, whatever the shape: users 1 .. 4, items 101 .. 105."""

    user: int
    item: int
    liked: bool
    day: int

    @property
    def time(self) -> datetime:
        return datetime(2012, 4, 3, 18, 0, 9, tzinfo=UTC) + timedelta(days=self.day)

    @property
    def seconds(self) -> int:
        return int(self.time.timestamp())

    @property
    def rating(self) -> int:
        return 5 if self.liked else 2


# Every user with every item; each item is disliked by one user: 5 of 20 pairs.
PAIRS = [Click(n // 5 + 1, n % 5 + 101, (n // 5 + n % 5) % 4 != 0, 10 + n) for n in range(20)]
# An earlier row of a pair that is liked later, at the end of the file: it must not win where the shape has times.
EARLIER = Click(1, 102, False, 1)
CLICKS = [*PAIRS, EARLIER]


@dataclass(frozen=True)
class Shape:
    """How a data set writes its clicks.

    Attributes:
        file: The file's name in the archive; of some sets there are two, divided by `|`, the first half in the first.
        line: Writes a click.
        ids: The user and the item that ingest must find.
        header: The first line, if it is no row.
        more: Further lines, none of which may be kept.
        rejected: Why they are not, beside the repeated pair.
        has_feedback, has_times: Whether the line of the documentation reads them.
        encoding: Of the text.
    """

    file: str
    line: Callable[[Click], str]
    ids: Callable[[Click], tuple[Any, Any]] = lambda click: (click.user, click.item)
    header: str = ""
    more: Sequence[str] = ()
    rejected: Mapping[str, int] = field(default_factory=dict)
    has_feedback: bool = True
    has_times: bool = True
    encoding: str = "utf-8"


def amazon_ids(click: Click) -> tuple[str, str]:
    return f"A{click.user}IIDRK3PRRZY", f"0000{click.item}X"


def amazon_review(click: Click) -> str:
    user, item = amazon_ids(click)
    review = {"reviewerID": user, "asin": item, "reviewerName": 'J. "Mc"', "helpful": [0, 0], "reviewText": "a, b\nc"}
    return json.dumps(review | {"overall": float(click.rating), "unixReviewTime": click.seconds, "reviewTime": "04 3, 2012"})


def amazon_2023(click: Click) -> str:
    user, item = amazon_ids(click)
    review = {"rating": float(click.rating), "title": "t", "text": "é", "images": [], "asin": f"colour {item}"}
    return json.dumps(review | {"parent_asin": item, "user_id": user, "timestamp": click.seconds * 1000 + 923})


def hexadecimal(click: Click) -> tuple[str, str]:
    return f"{click.user:032x}", str(click.item)


def yelp(click: Click) -> str:
    user, item = hexadecimal(click)
    review = {"review_id": "r", "user_id": user, "business_id": f"b-{item}", "stars": float(click.rating), "text": "x"}
    return json.dumps(review | {"date": f"{click.time:%Y-%m-%d %H:%M:%S}"})


def adressa(click: Click) -> str:
    event = {"eventId": 1, "url": "http://adressa.no/x", "userId": f"cx:{click.user}", "time": click.seconds}
    return json.dumps(event | {"id": f"{click.item:040x}", "activeTime": 44 if click.liked else 6})


def goodreads(click: Click, rating: int | None = None) -> str:
    pacific = click.time.astimezone(timezone(timedelta(hours=-7)))
    shelf = {"user_id": f"{click.user:032x}", "book_id": str(click.item), "is_read": True, "read_at": ""}
    rating = click.rating if rating is None else rating
    return json.dumps(shelf | {"rating": rating, "date_added": f"{pacific:%a %b %d %H:%M:%S %z %Y}"})


KUAIREC = Shape(
    "big_matrix.csv",
    lambda c: (
        f"{c.user},{c.item},{14838 if c.liked else 4200},16635,{c.time:%Y-%m-%d %H:%M:%S.438},{c.time:%Y%m%d},"
        f"{c.seconds}.438,{0.89 if c.liked else 0.25}"
    ),
    header="user_id,video_id,play_duration,video_duration,time,date,timestamp,watch_ratio",
)

SHAPES = {
    "MovieLens 100K": Shape("u.data", lambda c: f"{c.user}\t{c.item}\t{c.rating}\t{c.seconds}"),
    "MovieLens 1M, 10M": Shape("ratings.dat", lambda c: f"{c.user}::{c.item}::{c.rating}::{c.seconds}"),
    "MovieLens 20M, 25M, 32M": Shape(
        "ratings.csv",
        lambda c: f"{c.user},{c.item},{c.rating - 0.5},{c.seconds}",
        header="userId,movieId,rating,timestamp",
    ),
    "Amazon 2014, 2018, reviews": Shape("reviews_Books_5.json.gz", amazon_review, amazon_ids),
    "Amazon 2014, ratings": Shape(
        "ratings_Books.csv", lambda c: ",".join([*amazon_ids(c), f"{c.rating:.1f}", str(c.seconds)]), amazon_ids
    ),
    "Amazon 2018, ratings": Shape(
        "Books.csv", lambda c: ",".join([*amazon_ids(c)[::-1], f"{c.rating:.1f}", str(c.seconds)]), amazon_ids
    ),
    "Amazon 2023, reviews": Shape("Books.jsonl.gz", amazon_2023, amazon_ids),
    "Amazon 2023, ratings": Shape(
        "Books.csv.gz",
        lambda c: ",".join([*amazon_ids(c), f"{c.rating:.1f}", str(c.seconds * 1000 + 923)]),
        amazon_ids,
        header="user_id,parent_asin,rating,timestamp",
    ),
    "Yelp": Shape("yelp_academic_dataset_review.json", yelp, lambda c: (hexadecimal(c)[0], f"b-{c.item}")),
    "Adressa": Shape(
        "one_week/20170101|one_week/20170102",
        adressa,
        lambda c: (f"cx:{c.user}", f"{c.item:040x}"),
        more=[
            '{"eventId": 2, "activeTime": 8, "url": "http://adressa.no", "userId": "cx:1", "time": 1483225200}',
            '{"eventId": 3, "url": "http://adressa.no/x", "userId": "cx:1", "time": 1483225200, "id": "0a"}',
        ],
        rejected={WHERE: 2},
    ),
    "Goodreads, csv": Shape(
        "goodreads_interactions.csv",
        lambda c: f"{c.user},{c.item},1,{c.rating},0",
        header="user_id,book_id,is_read,rating,is_reviewed",
        more=["1,948,0,0,0"],
        rejected={NO_RATING: 1},
        has_times=False,
    ),
    "Goodreads, JSON": Shape(
        "goodreads_interactions_poetry.json.gz",
        goodreads,
        lambda c: (f"{c.user:032x}", c.item),
        more=[goodreads(CLICKS[0], rating=0)],
        rejected={NO_RATING: 1},
    ),
    "BookCrossing": Shape(
        "BX-Book-Ratings.csv",
        lambda c: f'"{276720 + c.user}";"0{c.item}ü";"{2 * c.rating}"',
        lambda c: (276720 + c.user, f"0{c.item}ü"),
        header='"User-ID";"ISBN";"Book-Rating"',
        more=['"276729";"052165615X";"0"', '"276730";"X;""x""";"0"'],
        rejected={NO_RATING: 2},
        has_times=False,
        encoding="latin-1",
    ),
    "Last.fm 360K": Shape(
        "usersha1-artmbid-artname-plays.tsv",
        lambda c: f'{c.user:040x}\t{"" if c.item % 2 else "3bd73256"}\t"{c.item}" y die Ä\t{c.day}',
        lambda c: (f"{c.user:040x}", f'"{c.item}" y die Ä'),
        has_feedback=False,
        has_times=False,
    ),
    "Last.fm HetRec": Shape(
        "user_artists.dat",
        lambda c: f"{c.user}\t{c.item}\t{13883 - c.day}",
        header="userID\tartistID\tweight",
        has_feedback=False,
        has_times=False,
    ),
    "KuaiRec, seconds": KUAIREC,
    "KuaiRec, share of the video": KUAIREC,
    "KuaiRand": Shape(
        "log_standard_4_08_to_4_21_pure.csv|log_standard_4_22_to_5_08_pure.csv",
        lambda c: (
            f"{c.user},{c.item},{c.time:%Y%m%d},1600,{c.seconds}860,1,0,0,0,0,0,1,{175045 if c.liked else 1385},"
            "209900,0,0,0,0,1"
        ),
        header=(
            "user_id,video_id,date,hourmin,time_ms,is_click,is_like,is_follow,is_comment,is_forward,is_hate,long_view,"
            "play_time_ms,duration_ms,profile_stay_time,comment_stay_time,is_profile_enter,is_rand,tab"
        ),
        more=["1,999,20220408,1600,1649408076860,0,0,0,0,0,0,0,0,87433,0,0,0,0,1"],
        rejected={WHERE: 1},
    ),
    "Tenrec": Shape(
        "ctr_data_1M.csv",
        lambda c: f"{c.user},{c.item},1,0,{int(c.liked)},0,1,1,2,3,7,8",
        header="user_id,item_id,click,follow,like,share,video_category,watching_times,gender,age,hist_1,hist_2",
        more=["1,999,0,0,0,0,1,0,2,3,7,8"],
        rejected={WHERE: 1},
        has_feedback=False,
        has_times=False,
    ),
    "RetailRocket": Shape(
        "events.csv",
        lambda c: f"{c.seconds}117,{c.user},view,{c.item},",
        header="timestamp,visitorid,event,itemid,transactionid",
        more=["1433223236124,1,addtocart,999,", "1433223236124,1,transaction,999,4000"],
        rejected={WHERE: 2},
        has_feedback=False,
    ),
    "REES46": Shape(
        "2019-Oct.csv.gz",
        lambda c: f"{c.time:%Y-%m-%d %H:%M:%S} UTC,view,{c.item},2103807459595387724,,shiseido,35.79,{c.user},72d76fde",
        header="event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session",
        more=["2019-10-01 00:00:00 UTC,cart,999,2103807459595387724,,shiseido,35.79,1,72d76fde"],
        rejected={WHERE: 1},
        has_feedback=False,
    ),
    "MIND": Shape(
        "behaviors.tsv",
        lambda c: f"7\tU{c.user}\t{c.time:%m/%d/%Y} 6:00:09 PM\tN55189 N1-1\tN35729-0 N{c.item}-1 N999-0",
        lambda c: (f"U{c.user}", f"N{c.item}"),
        more=["8\tU1\t11/11/2019 9:05:58 AM\t\tN35729-0 N999-0"],
        has_feedback=False,
    ),
    "Steam": Shape(
        "steam-200k.csv",
        lambda c: f'{c.user},"{c.item}, the game",play,{87.0 if c.liked else 0.4},0',
        lambda c: (c.user, f"{c.item}, the game"),
        more=["1,Fallout 4,purchase,1.0,0"],
        rejected={WHERE: 1},
        has_times=False,
    ),
    "H&M": Shape(
        "transactions_train.csv",
        lambda c: f"{c.time:%Y-%m-%d},{c.user:064x},0{c.item},0.0508305084745762,2",
        lambda c: (f"{c.user:064x}", f"0{c.item}"),
        header="t_dat,customer_id,article_id,price,sales_channel_id",
        has_feedback=False,
    ),
    "Dunnhumby": Shape(
        "transaction_data.csv",
        lambda c: f"{c.user},26984851472,{c.day},{c.item},1,1.39,364,-0.6,0{c.day % 60:03},1,0,0",
        header=(
            "household_key,BASKET_ID,DAY,PRODUCT_ID,QUANTITY,SALES_VALUE,STORE_ID,RETAIL_DISC,TRANS_TIME,WEEK_NO,"
            "COUPON_DISC,COUPON_MATCH_DISC"
        ),
        has_feedback=False,
    ),
    "Foursquare": Shape(
        "dataset_TSMC2014_NYC.txt",
        lambda c: f"{c.user}\t49bb{c.item}\t4bf5\tCafé\t40.71\t-74.00\t-240\t{c.time:%a %b %d %H:%M:%S %z %Y}",
        lambda c: (c.user, f"49bb{c.item}"),
        has_feedback=False,
        encoding="latin-1",
    ),
    "Netflix": Shape(
        "combined_data_1.txt|combined_data_2.txt", lambda c: f"{c.item}:\n{c.user},{c.rating},{c.time:%Y-%m-%d}"
    ),
    "RecBole": Shape(
        "ml-100k.inter",
        lambda c: f"{c.user}\t{c.item}\t{c.rating}\t{c.seconds}",
        header="user_id:token\titem_id:token\trating:float\ttimestamp:float",
    ),
}


def write(shape: Shape) -> None:
    """Writes the files of a shape into the working directory."""
    paths = [Path(name) for name in shape.file.split("|")]
    lines = [*map(shape.line, CLICKS), *shape.more]
    for n, path in enumerate(paths):
        half = lines[n * len(lines) // len(paths) : (n + 1) * len(lines) // len(paths)]
        content = "".join(f"{line}\n" for line in [shape.header, *half] if line).encode(shape.encoding)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def prepare(target: str) -> None:
    """Makes a file by the line of the documentation that makes it, if there is one."""
    line = next((found[0] for found in re.finditer(r"^awk .+$", PAGE, re.MULTILINE) if found[0].endswith(f"> {target}")), "")
    if line:
        if shutil.which("awk") is None:
            pytest.skip("needs awk")
        subprocess.run(["bash", "-c", line], check=True)


def kept(data: InteractionData) -> Iterable[tuple[Any, Any, bool | None]]:
    """Yields user, item and false positive of every pair, those apart from test as well."""
    for split in (data.train, data.valid, data.test, data.test_disliked):
        if split is not None:
            flags = split.false_positive
            apart = [True] * len(split) if split is data.test_disliked else [None] * len(split)
            yield from zip(
                data.users.decode(split.user).tolist(),
                data.items.decode(split.item).tolist(),
                apart if flags is None else flags.tolist(),
                strict=True,
            )


def test_every_line_of_the_page_is_tried() -> None:
    assert set(LINES) == set(SHAPES)
    assert PREPARATION == ["clicks.tsv", "netflix.csv"]


@pytest.mark.parametrize("name", SHAPES)
def test_the_documented_line_reads_the_shape(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shape = SHAPES[name]
    monkeypatch.chdir(tmp_path)
    write(shape)
    arguments = shlex.split(LINES[name])[1:]
    prepare(arguments[arguments.index("--data") + 1])
    result = CliRunner().invoke(app, [*arguments, "--out", "out", "--quiet"])
    assert result.exit_code == 0, result.output
    data = artifact.load(Path("out"))

    # Without times the last row of a pair counts.
    disliked = {(c.user, c.item) for c in PAIRS if not c.liked} | ({(1, 102)} if not shape.has_times else set())
    expected = [(*shape.ids(c), (c.user, c.item) in disliked if shape.has_feedback else None) for c in PAIRS]
    assert sorted(kept(data)) == sorted(expected)
    rows = data.manifest["rows"]
    assert rows["in"] == len(CLICKS) + sum(shape.rejected.values())
    assert rows["rejected"] == {"duplicate pair": 1, **shape.rejected}
    assert data.manifest["times"] == {"untimed": 0, "unreadable": 0}
    share = len(disliked) / len(PAIRS)
    assert data.manifest["false_positive_share"]["log"] == (pytest.approx(share) if shape.has_feedback else None)
    assert data.manifest["warnings"] == []


def test_likes_of_tenrec_are_its_extra_feedback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(SHAPES["Tenrec"])
    result = CliRunner().invoke(app, [*shlex.split(LINES["Tenrec"])[1:], "--out", "out", "--quiet"])
    assert result.exit_code == 0, result.output
    data = artifact.load(Path("out"))
    known = {(c.user, c.item) for c in PAIRS if c.liked} - {(1, 102)}  # Its last row is not liked.
    train = set(zip(data.users.decode(data.train.user).tolist(), data.items.decode(data.train.item).tolist(), strict=True))
    extra = data.extra_feedback
    assert extra is not None
    found = zip(data.users.decode(extra.user).tolist(), data.items.decode(extra.item).tolist(), strict=True)
    assert set(found) == known & train
    assert known & train
