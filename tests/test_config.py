from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfadt.config import ADTConfig, Config
from tfadt.config.loading import dump, load_config, to_toml, with_settings
from tfadt.errors import ConfigError


def written(folder: Path, text: str) -> Path:
    path = folder / "run.toml"
    path.write_text(text, encoding="utf-8")
    return path


def message(*overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(overrides=overrides)
    return str(caught.value)


def test_without_anything_gives_the_defaults() -> None:
    assert load_config() == Config()


def test_reads_every_section(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """
        [ingest]
        data = "log.csv"
        columns.user = "uid"
        [adt]
        preset = "paper"
        models = ["gmf"]
        learning_rate = 1
        [evaluate]
        k = [5, 10]
        [model.gmf]
        embedding_dim = 16
        [policy.t_ce]
        max_drop_rate = 0.1
        """,
    )
    config = load_config(path)
    # Relative, as written: the working directory is what it is relative to.
    assert config.ingest.data == (Path("log.csv"),)
    assert config.ingest.columns.user == "uid"
    assert config.adt == ADTConfig(preset="paper", models=("gmf",), learning_rate=1.0)
    assert config.evaluate.k == (5, 10)
    assert config.model == {"gmf": {"embedding_dim": 16}}
    assert config.policy == {"t_ce": {"max_drop_rate": 0.1}}


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_bytes(b"\xef\xbb\xbf[adt]\nepochs = 3\n")
    assert load_config(path).adt.epochs == 3


@pytest.mark.parametrize(
    ("override", "section", "key", "expected"),
    [
        ("adt.epochs=5", "adt", "epochs", 5),
        ("adt.epochs = 5", "adt", "epochs", 5),
        ("adt.learning_rate=.05", "adt", "learning_rate", 0.05),
        ("adt.learning_rate=1e-2", "adt", "learning_rate", 0.01),
        ("adt.models=gmf,neumf", "adt", "models", ("gmf", "neumf")),
        ("adt.models=gmf, neumf", "adt", "models", ("gmf", "neumf")),
        ("adt.models=gmf", "adt", "models", ("gmf",)),
        ('adt.models=["gmf", "cdae"]', "adt", "models", ("gmf", "cdae")),
        ("adt.eval_every=100", "adt", "eval_every", 100),
        ("evaluate.k=20", "evaluate", "k", (20,)),
        ("evaluate.k=5,10", "evaluate", "k", (5, 10)),
        ("evaluate.valid_users=500", "evaluate", "valid_users", 500),
        ("evaluate.valid_users=all", "evaluate", "valid_users", "all"),
        ("evaluate.test_users=500", "evaluate", "test_users", 500),
        ("ingest.data=../a=b/log.csv", "ingest", "data", (Path("../a=b/log.csv"),)),
        ('ingest.data="2024"', "ingest", "data", (Path("2024"),)),
        ("ingest.dataset=movielens/100k-ratings", "ingest", "dataset", "movielens/100k-ratings"),
        ("ingest.clean_test=false", "ingest", "clean_test", False),
    ],
)
def test_an_override_is_read_as_toml_or_as_plain_text(override: str, section: str, key: str, expected: object) -> None:
    assert getattr(getattr(load_config(overrides=[override]), section), key) == expected


def test_an_override_reaches_nested_and_free_settings() -> None:
    given = ["ingest.columns.user=uid", "model.gmf.embedding_dim=16", "policy.t_ce.max_drop_rate=.1"]
    config = load_config(overrides=["adt.preset=paper", *given])
    assert config.ingest.columns.user == "uid"
    assert config.model == {"gmf": {"embedding_dim": 16}}
    assert config.policy == {"t_ce": {"max_drop_rate": 0.1}}


def test_overrides_win_over_base_and_base_over_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, "[adt]\nepochs = 1\nseeds = 1\nseed = 1\n")
    config = load_config(path, overrides=["adt.epochs=2", "adt.epochs=3"], base={"adt": {"epochs": 7, "seeds": 2}})
    assert (config.adt.epochs, config.adt.seeds, config.adt.seed) == (3, 2, 1)


def test_base_is_left_as_it_was() -> None:
    base = {"ingest": {"columns": {"item": "iid"}, "data": Path("log.csv")}, "adt": {"models": ("gmf",)}}
    config = load_config(overrides=["ingest.columns.user=uid"], base=base)
    assert (config.ingest.columns.user, config.ingest.columns.item) == ("uid", "iid")
    assert (config.ingest.data, config.adt.models) == ((Path("log.csv"),), ("gmf",))
    assert base["ingest"] == {"columns": {"item": "iid"}, "data": Path("log.csv")}


def test_dump_is_json_ready_and_loads_back() -> None:
    config = load_config(overrides=["ingest.data=log.csv", "evaluate.k=5,10", "model.gmf.embedding_dim=16"])
    settings = dump(config)
    assert settings["ingest"]["data"] == ["log.csv"]
    assert settings["evaluate"]["k"] == [5, 10]
    assert load_config(base=settings) == config


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("adt.epochs=ten", "Setting 'adt.epochs': expected to be a valid integer. Received: 'ten'."),
        ("adt.epochs=true", "Setting 'adt.epochs': expected to be a valid integer. Received: True."),
        ("adt.epochs=2.5", "Setting 'adt.epochs': expected to be a valid integer. Received: 2.5."),
        ("adt.epochs=", "Setting 'adt.epochs': expected to be a valid integer. Received: ''."),
        ("adt.epochs=5\nseeds = 3", "Setting 'adt.epochs': expected to be a valid integer. Received: '5\\nseeds = 3'."),
        ("adt.epochs=0", "Setting 'adt.epochs': expected to be greater than or equal to 1. Received: 0."),
        ("adt.epochs.x=3", "Setting 'adt.epochs': expected to be a valid integer. Received: {'x': 3}."),
        ("ingest.clean_test=maybe", "Setting 'ingest.clean_test': expected to be a valid boolean. Received: 'maybe'."),
        (
            "adt.negatives=hard",
            "Setting 'adt.negatives': expected to be 'uniform', 'popularity' or 'shared'. Received: 'hard'.",
        ),
        ("ingest.data=3", "Setting 'ingest.data.0': expected to be a valid string. Received: 3."),
        ("model.gmf=3", "Setting 'model.gmf': expected to be an object. Received: 3."),
        ("evaluate.k=20,0", "Setting 'evaluate.k.1': expected to be greater than or equal to 1. Received: 0."),
        (
            "evaluate.valid_users=0",
            "Setting 'evaluate.valid_users': expected auto, all or a whole number of at least 1. Received: 0.",
        ),
        (
            "evaluate.test_users=auto",
            "Setting 'evaluate.test_users': expected all or a whole number of at least 1. Received: 'auto'.",
        ),
        (
            "evaluate.valid_users=most",
            "Setting 'evaluate.valid_users': expected auto, all or a whole number of at least 1. Received: 'most'.",
        ),
        ("evaluate.k=50,20", "Setting 'evaluate.k': expected each cut-off once, ascending. Received: [50, 20]."),
        ("evaluate.k=20,20", "Setting 'evaluate.k': expected each cut-off once, ascending. Received: [20, 20]."),
        ("adt.epoch=3", "Unknown setting 'adt.epoch'. Did you mean 'epochs'?"),
        ("adtt.epochs=3", "Unknown setting 'adtt'. Did you mean 'adt'?"),
        ("ingest.columns.usr=a", "Unknown setting 'ingest.columns.usr'. Did you mean 'user'?"),
        (
            "evaluate.zzz=1",
            "Unknown setting 'evaluate.zzz'. Known: blessing, drop_empty, k, mask, select_k, test_users, valid_users.",
        ),
        ("adt.epochs", "--set expects section.key=value, such as adt.epochs=5. Received: 'adt.epochs'."),
        ("epochs=5", "--set expects section.key=value, such as adt.epochs=5. Received: 'epochs=5'."),
        ("adt..epochs=5", "--set expects section.key=value, such as adt.epochs=5. Received: 'adt..epochs=5'."),
        ("", "--set expects section.key=value, such as adt.epochs=5. Received: ''."),
    ],
)
def test_a_wrong_override_is_one_sentence(override: str, expected: str) -> None:
    assert message(override) == expected


def test_an_empty_list_is_refused() -> None:
    text = message("adt.models=[]")
    assert text.startswith("Setting 'adt.models': expected to have at least 1 item")
    assert text.endswith("Received: [].")


def test_a_section_inside_a_single_value_is_refused() -> None:
    assert message("adt.epochs=3", "adt.epochs.x=3") == (
        "--set adt.epochs.x=3: 'epochs' is a single value. Expected a section."
    )


def test_an_unknown_key_is_named_before_a_wrong_value() -> None:
    assert message("adt.epochs=ten", "adt.sede=1") == "Unknown setting 'adt.sede'. Did you mean 'seed'?"


def test_a_mistake_in_the_file_names_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, "[adt]\nepoch = 3\n")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(caught.value) == f"{path}: Unknown setting 'adt.epoch'. Did you mean 'epochs'?"


def test_cut_offs_of_the_file_are_checked(tmp_path: Path) -> None:
    path = written(tmp_path, "[evaluate]\nk = [50, 20]\n")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(caught.value).startswith(f"{path}: Setting 'evaluate.k'")


def test_a_mistake_of_the_command_line_is_not_laid_at_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, "[adt]\nepochs = 3\n")
    with pytest.raises(ConfigError) as caught:
        load_config(path, overrides=["adt.epochs=ten"])
    assert str(caught.value).startswith("Setting 'adt.epochs'")


def test_a_file_that_is_not_toml_names_file_and_line(tmp_path: Path) -> None:
    path = written(tmp_path, "[adt]\nepochs = 3\nseeds = = 2\n")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(path) in str(caught.value)
    assert "line 3" in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "nowhere.toml"
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(caught.value) == f"The configuration {path} does not exist."


def test_a_folder_is_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path)
    assert str(caught.value).startswith(f"The configuration {tmp_path} cannot be read: ")


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_bytes(b"[adt]\n# caf\xe9\n")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(caught.value).startswith(f"The configuration {path} is not UTF-8 text: ")


@given(key=st.sampled_from(["adt.epochs", "adt.models", "evaluate.k", "model.gmf.x", "ingest.data"]), value=st.text())
def test_no_override_ends_in_anything_but_a_configuration_or_a_config_error(key: str, value: str) -> None:
    with suppress(ConfigError):
        assert isinstance(load_config(overrides=[f"{key}={value}"]), Config)


def test_a_file_is_named_by_text_or_path(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text("[adt]\nepochs = 3\n")
    assert load_config(str(path)) == load_config(path)


@pytest.mark.parametrize("depth", [3000])
def test_settings_nested_too_deep_are_one_sentence(depth: int, tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text(f"a = {'[' * depth}{']' * depth}\n")
    with pytest.raises(ConfigError, match="is nested too deep"):
        load_config(path)
    with pytest.raises(ConfigError, match="nested too deep"):
        load_config(None, [f"adt.epochs={'[' * depth}"])


def test_a_preset_lies_below_what_is_given():
    strong = load_config(None, ["adt.preset=strong"])
    assert (strong.adt.num_negatives, strong.adt.patience, strong.adt.l2) == (16, 10, 0.01)
    gmf = strong.model["gmf"]
    assert (gmf["embedding_dim"], gmf["item_bias"]) == (64, True)
    assert strong.policy["t_ce"] == strong.policy["dcf"] == {"scope": "positives"}
    own = load_config(None, ["adt.preset=strong", "adt.num_negatives=1", "adt.epochs=10", "model.gmf.embedding_dim=16"])
    assert (own.adt.num_negatives, own.adt.epochs, own.adt.patience) == (1, 10, 10)
    assert own.model["gmf"] == gmf | {"embedding_dim": 16}
    paper = load_config(None, ["adt.preset=paper"])
    assert (paper.adt.num_negatives, paper.adt.epochs, paper.adt.patience) == (1, 10, None)
    assert paper.model == paper.policy == paper.method == {}
    # One use of a preset does not change the next.
    assert load_config(None, ["adt.preset=strong"]) == strong == Config() == load_config(None, [])


def test_a_presets_settings_of_one_model_lose_against_what_is_given():
    strong = load_config(None, ["adt.preset=strong"])
    assert strong.method["gmf"]["adt.objective"] == "auto"
    own = load_config(None, ["adt.preset=strong", "adt.l2=0.3"])
    assert "adt.l2" not in own.method["gmf"]
    assert own.method["gmf"]["adt.objective"] == "auto"
    mine = Config(adt=ADTConfig(preset="strong"), method={"gmf": {"adt.l2": 0.1}, "gmf-t_ce": {"adt.epochs": 3}})
    assert mine.method["gmf"] == strong.method["gmf"] | {"adt.l2": 0.1}
    assert mine.method["gmf-t_ce"] == {"adt.epochs": 3}
    # A recipe for shared negatives is none for pairs.
    other = Config(method={"gmf": {"adt.objective": "bpr"}})
    assert other.method == {**strong.method, "gmf": {"adt.objective": "bpr"}}
    # A recipe goes with its objective: with another one for all, nothing is left of it.
    assert load_config(None, ["adt.preset=strong", "adt.objective=bpr"]).method == {}
    for config in (strong, own, mine):
        assert load_config(base=dump(config)) == config


def test_a_preset_holds_for_sections_in_python():
    config = Config(adt=ADTConfig(preset="strong", epochs=3), model={"gmf": {"embedding_dim": 8}})
    assert (config.adt.epochs, config.adt.num_negatives) == (3, 16)
    assert config.model["gmf"] == load_config(None, ["adt.preset=strong"]).model["gmf"] | {"embedding_dim": 8}


def test_what_a_preset_gave_is_kept_where_settings_are_written_and_read(tmp_path):
    # num_negatives is a default again, which must not come back as the preset's.
    config = load_config(None, ["adt.preset=strong", "adt.num_negatives=1"])
    assert load_config(base=dump(config)) == config
    (tmp_path / "own.toml").write_text(to_toml(config))
    back = load_config(tmp_path / "own.toml")
    assert back.model == config.model
    assert back.adt == config.adt.model_copy(update={"preset": "paper"})
    assert with_settings(config, {"adt.seed": 3}).adt.num_negatives == 1


def test_an_unknown_preset_is_refused():
    with pytest.raises(ConfigError, match=r"Setting 'adt\.preset': .*'paper' or 'strong'.*Received: 'storng'"):
        load_config(None, ["adt.preset=storng"])
