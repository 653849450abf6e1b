"""The clients of docs/serving.md as they stand there: against a stand-in, and against a real server where there is one."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from serving_stand_in import stand_in

from tfadt.serving.served import recommend

DOCUMENT = (Path(__file__).parents[2] / "docs" / "serving.md").read_text(encoding="utf-8")
ADDRESS = os.environ.get("TFADT_SERVING_ADDRESS")


def client(name, tmp_path, *arguments):
    """Runs a client of the document and returns what it prints."""
    path = tmp_path / name
    path.write_text(re.search(rf"```python\n# {name}\n(.*?)```", DOCUMENT, re.DOTALL).group(1))
    command = [sys.executable, str(path), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(("name", "port"), [("rest_client.py", 1), ("grpc_client.py", 0)])
def test_a_client_gets_what_the_export_answers(name, port, exports, saved_run, tmp_path):
    user = str(saved_run.data.users.ids[3])
    with stand_in(exports["gmf"]) as ports:
        found = client(name, tmp_path, f"127.0.0.1:{ports[port]}", "gmf", user, "nobody")
    expected = [f"{user} (known): {', '.join(recommend(exports['gmf'], user, 10)[0])}"]
    expected.append(f"nobody (not known): {', '.join(recommend(exports['gmf'], 'nobody', 10)[0])}")
    assert found.splitlines() == expected


def example(name, *arguments):
    path = Path(__file__).parents[2] / "examples" / name
    done = subprocess.run([sys.executable, str(path), *map(str, arguments)], capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def load_test(*arguments):
    return example("load_test.py", *arguments)


def test_a_share_of_the_users_asks_for_the_canary(exports, saved_run):
    users = [str(user) for user in saved_run.data.users.ids[:40]]

    def canaries(port, share):
        code, told, failed = example("canary_client.py", f"127.0.0.1:{port}", "gmf", *users, "--share", share, "--k", 3)
        assert code == 0, failed
        rows = re.findall(r"(\S+) \((stable|canary)\): (.+)", told)
        assert sorted(user for user, _, _ in rows) == sorted(users)
        assert {len(items.split(", ")) for _, _, items in rows} == {3}
        return {user for user, label, _ in rows if label == "canary"}

    with stand_in(exports["gmf"]) as (_, port):
        few, half = canaries(port, 0.2), canaries(port, 0.5)
        too_many = example("canary_client.py", f"127.0.0.1:{port}", "gmf", users[0], "--k", 11)
    assert 0 < len(few) < len(half) < 40
    assert few < half  # whoever tries it goes on trying it
    assert too_many == (1, "", "The export ranks 10 items. Expected --k from 1 to that. Received: 11.\n")


def test_a_load_test_tells_rate_and_latencies(exports, saved_run, tmp_path):
    (tmp_path / "users.txt").write_text("\n".join(map(str, saved_run.data.users.ids[:5])))
    given = ("--users", str(tmp_path / "users.txt"), "--clients", "2", "--batch", "3", "--seconds", "0.1")
    with stand_in(exports["gmf"]) as (_, port):
        code, told, _ = load_test(f"127.0.0.1:{port}", "gmf", *given)
        failed = load_test(f"127.0.0.1:{port}", "gnf", *given)
    assert code == 0
    count, rate = re.match(r"(\d+) requests of 3 users by 2 clients: ([\d,]+) requests a second", told).groups()
    assert int(count) >= 2
    assert float(rate.replace(",", "")) > 0
    p50, p99, longest = map(float, re.search(r"p50 ([\d.]+) ms, p99 ([\d.]+) ms, longest ([\d.]+) ms", told).groups())
    assert 0 < p50 <= p99 <= longest
    assert failed[0] == 1
    assert f"http://127.0.0.1:{port}/v1/models/gnf:predict answers 404" in failed[2]


def test_a_load_test_tells_of_a_server_that_does_not_answer():
    with socket.socket() as taken:  # bound and not listening
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        code, _, told = load_test(address, "gmf")
    assert (code, told) == (1, f"No server answers at http://{address}: [Errno 111] Connection refused.\n")


@pytest.mark.skipif(ADDRESS is None, reason="TFADT_SERVING_ADDRESS names no host of a TensorFlow Serving")
@pytest.mark.parametrize(("name", "port"), [("rest_client.py", 8501), ("grpc_client.py", 8500)])
def test_a_client_gets_an_answer_of_a_real_server(name, port, tmp_path):
    model = os.environ.get("TFADT_SERVING_MODEL", "gmf")
    found = client(name, tmp_path, f"{ADDRESS}:{port}", model, "nobody at all")
    assert re.fullmatch(r"nobody at all \(not known\): .+\n", found)
