from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipeline_cases import add, constant, describe

from tfadt.components.component import OutputRef, Step
from tfadt.errors import ConfigError
from tfadt.pipelines.picture import as_svg, as_text
from tfadt.pipelines.pipeline import Pipeline


def refused(*steps: Step) -> str:
    with pytest.raises(ConfigError) as caught:
        Pipeline("p", steps)
    return str(caught.value)


def test_each_step_comes_after_what_it_waits_for_and_else_as_given() -> None:
    one = constant()
    two = constant.step("two", value=2.0)
    total = add(a=one["number"], b=two["number"])
    text = describe(number=total["number"]).after(two)
    assert list(Pipeline("p", [text, total, two, one]).steps) == ["two", "constant", "add", "describe"]
    assert list(Pipeline("p", [two, one]).steps) == ["two", "constant"]


def test_a_cycle_is_refused_and_its_steps_named() -> None:
    first = add.step("first", a=OutputRef("third", "number"))
    second = add.step("second", a=first["number"])
    third = add.step("third", a=second["number"])
    assert "circle, each for the next: first -> third -> second -> first." in refused(first, second, third)
    waiting = replace(constant(), waits_for=("add",))
    assert "constant -> add -> constant" in refused(waiting, add(a=waiting["number"]))
    assert "loop -> loop" in refused(add.step("loop", a=OutputRef("loop", "number")))


def test_an_input_from_nowhere_is_refused() -> None:
    total = add(a=OutputRef("constnt", "number"))
    assert refused(constant(), total) == (
        "Step 'add' (component 'add'): the input 'a' comes from 'constnt', which is no step. Did you mean 'constant'?"
    )
    total = add(a=OutputRef("constant", "nmber"))
    assert refused(constant(), total) == (
        "Step 'add' (component 'add'): the input 'a' comes from 'constant.nmber', which is no output. Did you mean 'number'?"
    )
    assert "waits for 'gone', which is no step" in refused(replace(constant(), waits_for=("gone",)))


def test_two_outputs_of_one_name_are_refused() -> None:
    assert refused(constant(), constant(value=2.0)) == (
        "Two steps are called 'constant', so that both would make the output 'constant.number'. Expected each name once."
    )


def test_an_artifact_of_another_type_is_refused() -> None:
    text = describe(number=constant()["number"])
    assert refused(constant(), text, add(a=text["text"])) == (
        "Step 'add' (component 'add'): the input 'a' must be of type Number. Received: 'describe.text' of type Text."
    )


@pytest.mark.parametrize("name", ["", "a b", "../x", ".hidden", "a/b"])
def test_a_name_that_is_no_file_name_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="The name of a pipeline"):
        Pipeline(name, [constant()])


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=25))
def test_any_graph_is_either_in_order_or_has_a_cycle(edges: list[tuple[int, int]]) -> None:
    waits: dict[int, set[int]] = {n: set() for n in range(10)}
    for later, earlier in edges:
        waits[later].add(earlier)
    steps = [constant.step(str(n)).after(*(constant.step(str(m)) for m in sorted(waits[n]))) for n in waits]
    # What can be reached from itself lies on a cycle.
    reach = {n: set(waits[n]) for n in waits}
    for _ in range(10):
        reach = {n: found.union(*(reach[m] for m in found)) for n, found in reach.items()}
    if any(n in found for n, found in reach.items()):
        assert "circle" in refused(*steps)
    else:
        order = list(Pipeline("p", steps).steps)
        assert sorted(order) == sorted(map(str, waits))
        assert all(order.index(str(m)) < order.index(str(n)) for n in waits for m in waits[n])


def diamond() -> Pipeline:
    start = constant()
    left, right = add.step("left", a=start["number"]), add.step("right", a=start["number"])
    total = add.step("total", a=left["number"], b=right["number"])
    return Pipeline("diamond", [start, left, right, total, describe(number=total["number"]).after(start)])


def test_the_graph_as_text() -> None:
    assert list(as_text(diamond())) == [
        "constant  -> number (Number)",
        "left      a=constant.number -> number (Number)",
        "right     a=constant.number -> number (Number)",
        "total     a=left.number, b=right.number -> number (Number)",
        "describe  total.number -> text (Text); after constant",
    ]


def test_the_picture_has_a_box_a_step_and_an_arrow_a_joint() -> None:
    from xml.etree import ElementTree

    root = ElementTree.fromstring(as_svg(diamond()))
    space = "{http://www.w3.org/2000/svg}"
    boxes = [rect for rect in root.findall(f"{space}rect") if "x" in rect.attrib]
    assert len({(box.attrib["x"], box.attrib["y"]) for box in boxes}) == 5
    arrows = [path for path in root.findall(f"{space}path") if "marker-end" in path.attrib]
    assert len(arrows) == 6
    assert sum("stroke-dasharray" in arrow.attrib for arrow in arrows) == 1
    names = [text.text for text in root.findall(f"{space}text") if text.attrib.get("font-weight") == "bold"]
    assert names == list(diamond().steps)
