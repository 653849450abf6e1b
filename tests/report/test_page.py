"""The page of a run: its numbers are those of results.json, and what a log brings in is text."""

import re
import shlex
from copy import deepcopy
from xml.etree import ElementTree

import pandas as pd
import pytest
from report_cases import SCRIPT, Page, leaves, run_with_page, unknown_in_figures, unknown_numbers
from typer.testing import CliRunner

from tfadt.cli.main import app
from tfadt.report.numbers import count, number, p_value, percent, seconds, setting
from tfadt.report.page import export_command, write_page

RUNS = ("judged", "informed", "unjudged")
UNITS = {"%": 100, "s": 1, "min": 1 / 60, "h": 1 / 3600, "": 1}
KNOWN_TEXTS = ("95 % interval", "95 % intervals", "adt.seeds=5", "ingest.split.valid=0.1", "100 % (dotted)")


@pytest.fixture(params=RUNS)
def made(request):
    return request.getfixturevalue(request.param)


def test_every_number_is_in_the_results(made):
    out, results = made
    page = Page(out / "report.html")
    assert len(page.numbers) > 15
    assert unknown_numbers(page, results) == []
    for value, shown in page.numbers:
        text = shown.replace("\N{NO-BREAK SPACE}", " ").replace("\N{MINUS SIGN}", "-").replace(",", "")
        if text == "p < 0.001":
            assert float(value) < 0.001
            continue
        digits, unit = re.fullmatch(r"(?:p = )?([+-]?[\d.]+)(?: (%|s|min|h))?", text).groups(default="")
        half = 0.5 * 10.0 ** -len(digits.partition(".")[2])
        assert abs(float(digits) - UNITS[unit] * float(value)) <= half * 1.000001


def test_no_other_text_of_the_page_is_a_number(made):
    out, results = made
    text = Page(out / "report.html").text.replace(str(out), "")  # in the commands
    texts = {each for each in leaves(results) if isinstance(each, str) and re.search(r"\d", each)}
    for known in (*sorted(texts, key=len, reverse=True), *KNOWN_TEXTS):
        text = text.replace(known, "")
    assert re.findall(r".*\d.*", text) == []


def test_the_page_is_one_small_file_that_asks_for_nothing(made):
    out, _ = made
    page = Page(out / "report.html")
    assert page.source.startswith("<!doctype html>")
    assert len(page.source.encode()) < 3_000_000
    assert not re.search(r"https?:|//|@import|javascript:", re.sub(r"<code>.*?</code>", "", page.source))
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "link", "img", "iframe", "object", "embed", "form", "base"}
    for tag, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on") or name in ("src", "srcset")], tag
        assert str(attributes.get("href", "#")).startswith("#")
    assert ("html", {"lang": "en"}) in page.tags
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    linked = re.findall(r'(?:url\(|href=")#([\w.-]+)', page.source)
    assert set(linked) <= set(ids)


def test_headings_are_in_order_and_pictures_have_alternatives(made):
    out, _ = made
    page = Page(out / "report.html")
    levels = [level for level, _ in page.headings]
    assert levels[0] == "h1"
    assert set(levels[1:]) == {"h2"}
    assert all(text.strip() for _, text in page.headings)
    pictures = [attributes for tag, attributes in page.tags if tag == "svg"]
    assert len(pictures) >= 2
    for attributes in pictures:
        assert attributes["role"] == "img"
        assert len(attributes["aria-label"]) > 30


def test_ids_and_names_of_a_log_are_text(unjudged):
    out, _ = unjudged
    page = Page(out / "report.html")
    assert SCRIPT in page.text
    assert "<b>clicks.csv" in page.text
    assert SCRIPT not in page.source


def test_each_picture_lies_beside_its_numbers(made):
    out, results = made
    page = Page(out / "report.html")
    names = {path.stem for path in (out / "figures").glob("*.svg")}
    assert names == {path.stem for path in (out / "figures").glob("*.csv")}
    assert len(names) == sum(tag == "svg" for tag, _ in page.tags)
    assert unknown_in_figures(out, results) == []
    for name in names:
        root = ElementTree.parse(out / "figures" / f"{name}.svg").getroot()
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert "currentColor" in (out / "figures" / f"{name}.svg").read_text()
        assert len(pd.read_csv(out / "figures" / f"{name}.csv"))


def test_a_run_with_feedback_has_all_its_pictures(judged):
    out, _ = judged
    names = {path.stem for path in (out / "figures").glob("*.svg")}
    assert {"false_positives", "frontier", "user_groups", "losses_gmf", "dropped_gmf"} <= names


def test_what_validation_chose_is_drawn_with_all_that_it_chose_from(informed):
    out, results = informed
    headings = [text for _, text in Page(out / "report.html").headings]
    assert {"How strong the denoising is", "Training with extra feedback", "Colliding inference"} <= set(headings)
    strengths = pd.read_csv(out / "figures" / "strength_ease_noise_model_adt.csv")
    (record,) = (run["strength"] for run in results["runs"] if run["strength"] is not None)
    assert list(strengths["expected_recall"]) == [each["expected_recall"] for each in record["frontier"]]
    (chosen,) = strengths[strengths["chosen"] == 1].to_dict("records")
    assert {name: chosen[name] for name in ("policy", "power", "gamma")} == record["chosen"]
    curves = pd.read_csv(out / "figures" / "colliding_gmf_standard_warmup_adt.csv")
    assert set(curves["lambda"]) == {0.0, 0.5, 1.0}
    assert (curves.loc[curves["lambda"] == 1.0, "recall"] == 1.0).all()


def test_a_run_says_which_of_its_sections_are_empty(judged, unjudged):
    for out, results in (judged, unjudged):
        text = Page(out / "report.html").text
        assert "No strength of denoising was chosen on validation: no training was under noise_model" in text
        assert "No noise of known truth was put into the log to see what each policy catches: a study does" in text
        assert (results["summary"]["strengths"], results["summary"]["colliding"], results["injected"]) == ([], [], None)


def test_without_feedback_the_page_says_what_it_cannot_answer_and_how_to_get_there(unjudged):
    out, _ = unjudged
    page = Page(out / "report.html")
    assert "What this page cannot answer, and how to get there" in [text for _, text in page.headings]
    for way in ("ingest.columns.rating", "ingest.columns.dwell_time", "ingest.columns.false_positive"):
        assert way in page.text
    assert {path.stem for path in (out / "figures").glob("*.svg")} == {"recall", "user_groups"}
    assert "Disliked items among what is recommended were not counted" in page.text


def test_a_command_is_quoted_for_the_shell(tmp_path):
    assert export_command(tmp_path / "my run", "gmf-t_ce-0").startswith(
        f"tfadt export '{tmp_path}/my run' --model gmf-t_ce-0"
    )


def test_the_deploy_command_works(judged, tmp_path, monkeypatch):
    out, results = judged
    command = export_command(out, results["summary"]["deploy"]["training"])
    assert command in Page(out / "report.html").text
    monkeypatch.chdir(tmp_path)
    program, *arguments = shlex.split(command)
    assert program == "tfadt"
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "saved_models" / "gmf" / "1" / "saved_model.pb").is_file()


def test_equal_results_make_equal_pages(judged, tmp_path):
    out, results = judged
    tmp_path.joinpath("again").mkdir()
    again = write_page(results, tmp_path / "again").read_text()
    assert again.replace(str(tmp_path / "again"), str(out)) == (out / "report.html").read_text()


def test_two_users_have_a_page(tmp_path):
    pairs = {"train": "a,x\na,y\nb,y\nb,z\n", "valid": "b,x\n", "test": "a,z\n"}
    for name, rows in pairs.items():
        (tmp_path / f"{name}.csv").write_text(f"user_id,item_id\n{rows}")
    splits = [f"ingest.{name}={tmp_path / name}.csv" for name in pairs]
    results = run_with_page(tmp_path / "run", *splits, "adt.models=popular", "evaluate.k=1")
    page = Page(tmp_path / "run" / "report.html")
    assert results["summary"]["data"]["num_users"] == 2
    assert results["summary"]["deploy"]["training"] == "popular-standard-0"
    assert "no better than showing everybody the most popular items" in page.text


def verdict(results, tmp_path, **changes):
    """Returns the headline and the text of a page whose verdict is another."""
    changed = deepcopy(results)
    effect = changed["summary"]["denoising"]
    effect.update({key: value for key, value in changes.items() if key != "verdicts"})
    for metric, said in changes.get("verdicts", {}).items():
        effect["effects"][metric]["verdict"] = said
    page = Page(write_page(changed, tmp_path))
    return page.headings[0][1].strip(), " ".join(page.text.split())


@pytest.mark.parametrize(
    ("outcome", "verdicts", "headline", "sentence"),
    [
        (
            "helps",
            {"false_share": "better"},
            "Fewer disliked items at the same recall: deploy GMF with T-CE",
            "Denoising helps:",
        ),
        ("helps", {"recall": "better"}, "Denoising raises recall: deploy GMF with T-CE", "recall rises by"),
        (
            "trade",
            {"recall": "worse", "false_share": "better"},
            "Deploy GMF with T-CE: it gains on one side and loses on the other",
            "recall falls:",
        ),
        (
            "harms",
            {"recall": "worse"},
            "Deploy GMF with T-CE, as validation chose; on the test its denoising harms",
            "Denoising harms:",
        ),
        ("nothing", {}, "Deploy GMF; its denoising makes no proven difference", "Denoising does not help:"),
    ],
)
def test_the_verdict_of_a_denoised_model_says_what_the_tests_say(judged, tmp_path, outcome, verdicts, headline, sentence):
    _, results = judged
    none = {"recall": "no significant difference", "false_share": "no significant difference"}
    changed = deepcopy(results)
    method = {"model": "gmf", "policy": "t_ce", "plan": "adt", "training": "gmf-t_ce-0"}
    changed["summary"]["deploy"] |= method
    found, text = verdict(changed, tmp_path, **method, deployed=True, outcome=outcome, verdicts=none | verdicts)
    assert found == headline
    assert sentence in text


def test_where_denoising_does_not_help_the_page_says_so(judged, tmp_path):
    _, results = judged
    changed = deepcopy(results)
    changed["summary"]["deploy"] |= {"model": "gmf", "policy": "standard", "plan": "adt", "training": "gmf-standard-0"}
    found, text = verdict(changed, tmp_path, deployed=False, outcome="nothing")
    assert found == "Denoising does not help here: deploy GMF, trained plainly"
    assert "one seed, so the luck of training is in none of these intervals" in text
    found, text = verdict(changed, tmp_path, deployed=False, outcome="trade")
    assert found == "Deploy GMF, plain; denoising gains on one side and loses on the other"
    assert "Denoising gains and loses:" in text


def test_a_better_policy_that_validation_did_not_choose_is_named_with_its_command(judged, tmp_path):
    _, results = judged
    changed = deepcopy(results)
    changed["summary"]["deploy"] |= {"model": "gmf", "policy": "standard", "plan": "adt", "training": "gmf-standard-0"}
    better = {"recall": "no significant difference", "false_share": "better"}
    found, text = verdict(changed, tmp_path, deployed=False, outcome="helps", verdicts=better)
    assert found.startswith("Deploy GMF, or with T-CE")
    assert f"--model {results['summary']['denoising']['training']} --out saved_models" in text


@pytest.mark.parametrize(
    ("deployed", "headline"),
    [
        (("gmf", "standard"), "Deploy GMF; T-CE raises its recall on the test, not on validation"),
        (("ease", "standard"), "Deploy EASE, plain; denoising helps GMF, which ranks validation less well"),
    ],
)
def test_the_headline_does_not_deny_what_helped_elsewhere(judged, tmp_path, deployed, headline):
    _, results = judged
    changed = deepcopy(results)
    changed["summary"]["deploy"] |= dict(zip(("model", "policy"), deployed, strict=True), plan="adt", training="other")
    if deployed[0] != "gmf":
        changed["methods"].append({**changed["methods"][1], "model": "ease"})
        changed["summary"]["cost"]["methods"].append({**changed["summary"]["cost"]["methods"][1], "model": "ease"})
    verdicts = {"recall": "better", "false_share": "no significant difference"}
    effect = {"model": "gmf", "policy": "t_ce", "deployed": False, "outcome": "helps", "verdicts": verdicts}
    assert verdict(changed, tmp_path, **effect)[0] == headline


def test_without_a_choice_nothing_is_deployed(judged, tmp_path):
    _, results = judged
    changed = deepcopy(results)
    changed["summary"] |= {"deploy": None, "denoising": None}
    page = Page(write_page(changed, tmp_path))
    assert page.headings[0][1].strip() == "No model could be chosen: there is no validation to choose by"
    assert "tfadt export" not in page.text


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (number(-0.00123), '<data value="-0.00123">\N{MINUS SIGN}0.0012</data>'),
        (percent(0.102), '<data value="0.102">10.2\N{NO-BREAK SPACE}%</data>'),
        (percent(0.05, sign=True), '<data value="0.05">+5.0\N{NO-BREAK SPACE}%</data>'),
        (count(99912), '<data value="99912">99,912</data>'),
        (p_value(0.0004), '<data value="0.0004">p\N{NO-BREAK SPACE}&lt;\N{NO-BREAK SPACE}0.001</data>'),
        (p_value(0.031), '<data value="0.031">p\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}0.031</data>'),
        (seconds(150.0), '<data value="150.0">2.5\N{NO-BREAK SPACE}min</data>'),
        (setting([500.0, 1000.0]), '<data value="500.0">500</data>, <data value="1000.0">1000</data>'),
        (setting("<b>"), "&lt;b&gt;"),
        (number(None), "\N{EN DASH}"),
    ],
)
def test_numbers_are_written_for_reading_and_kept_to_the_digit(shown, expected):
    assert str(shown) == expected
