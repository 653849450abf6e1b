import pytest
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


@pytest.fixture(scope="session")
def judged(tmp_path_factory):
    """A run with feedback: its folder and what `results.json` holds."""
    out = tmp_path_factory.mktemp("judged") / "run"
    return out, run_with_page(out, *SMALL)


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
    out = tmp_path_factory.mktemp("informed") / "run"
    return out, run_with_page(out, *SMALL, *settings)


@pytest.fixture(scope="session")
def unjudged(tmp_path_factory):
    """A run on a log without feedback whose name and ids are markup."""
    folder = tmp_path_factory.mktemp("unjudged")
    ids = [SCRIPT, *(f"u{n}" for n in range(9))]
    rows = [f"{user},{n * 7 % 13}" for user in ids for n in range(8)] + [f"{SCRIPT},"]
    log = folder / "<b>clicks.csv"
    log.write_text("\n".join(["user_id,item_id", *rows]) + "\n")
    settings = (f"ingest.data={log}", "adt.models=popular,ease", "evaluate.k=3")
    return folder / "run", run_with_page(folder / "run", *settings)
