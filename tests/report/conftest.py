import json

import pytest
from made_once import made_once
from report_cases import SCRIPT, run_with_page

SMALL = (
    "ingest.simulated.users=120",
    "ingest.simulated.items=60",
    "ingest.simulated.interactions=2500",
    "adt.preset=paper",
    "adt.epochs=2",
    "adt.models=gmf",
    "adt.policies=standard,t_ce,random_drop,clean_only",
    "policy.t_ce.max_drop_rate=0.2",
    "model.gmf.embedding_dim=8",
    "evaluate.k=5",
)


def with_results(folder):
    return folder / "run", json.loads((folder / "run" / "results.json").read_text())


@pytest.fixture(scope="session")
def judged(tmp_path_factory):
    """A run with feedback: its folder and what `results.json` holds."""
    return with_results(made_once(tmp_path_factory, "judged", lambda folder: run_with_page(folder / "run", *SMALL)))


@pytest.fixture(scope="session")
def informed(tmp_path_factory):
    """A run that knows of some clicks whether they were liked: a strength chosen on validation, and colliding inference."""
    settings = (
        "adt.trainings=gmf-standard-warmup+adt,ease-standard,ease-noise_model",
        "adt.epochs=1",
        "ingest.extra_feedback.share=0.3",
        "denoising.powers=2",
        "denoising.gammas=0,1",
        "collide.enabled=true",
        "collide.neighbors=1,3",
        "collide.lambdas=0,0.5",
    )
    folder = made_once(tmp_path_factory, "informed", lambda folder: run_with_page(folder / "run", *SMALL, *settings))
    return with_results(folder)


@pytest.fixture(scope="session")
def unjudged(tmp_path_factory):
    """A run on a log without feedback whose name and ids are markup."""

    def make(folder):
        ids = [SCRIPT, *(f"u{n}" for n in range(9))]
        rows = [f"{user},{n * 7 % 13}" for user in ids for n in range(8)] + [f"{SCRIPT},"]
        log = folder / "<b>clicks.csv"
        log.write_text("\n".join(["user_id,item_id", *rows]) + "\n")
        run_with_page(folder / "run", f"ingest.data={log}", "adt.models=popular,ease", "evaluate.k=3")

    return with_results(made_once(tmp_path_factory, "unjudged", make))
