"""Asks a TensorFlow Serving as many clients at once would, and tells how fast it answers. The standard library alone.

    python load_test.py localhost:8501 gmf --users users.txt [--clients 4] [--batch 1] [--seconds 10] [--signature recommend]

`users.txt` has a user id a line; without it the requests are for unknown users, who get the most popular items. Each client
keeps a connection and sends its next request when the last one is answered. Exits with 1 where the server does not answer,
or answers with an error.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import sys
import threading
import time
from pathlib import Path

_TIMEOUT = 10.0


class ServerError(Exception):
    """The server does not answer, or not with a prediction."""


class Client:
    """One connection to a server.

    Args:
        address: Host and port of REST, such as `localhost:8501`.
        model: The served model.
        signature: Which of its signatures to ask; it takes `user_id` alone.
    """

    def __init__(self, address: str, model: str, signature: str):
        self._address, self._signature = address, signature
        self._path = f"/v1/models/{model}:predict"
        self._connection = http.client.HTTPConnection(address, timeout=_TIMEOUT)

    def ask(self, users: list[str]) -> float:
        """Asks for some users and returns the seconds until the whole answer is there.

        Raises:
            ServerError: If there is none.
        """
        body = json.dumps({"signature_name": self._signature, "inputs": {"user_id": users}})
        begun = time.perf_counter()
        try:
            self._connection.request("POST", self._path, body, {"Content-Type": "application/json"})
            response = self._connection.getresponse()
            answer = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise ServerError(f"No server answers at http://{self._address}: {error}.") from error
        seconds = time.perf_counter() - begun
        if response.status != http.HTTPStatus.OK:
            raise ServerError(f"http://{self._address}{self._path} answers {response.status}: {answer.decode()[:500]}")
        return seconds


def load(clients: list[Client], batches: list[list[str]], seconds: float) -> list[float]:
    """Lets all clients ask at once for so long and returns the seconds of each request.

    Raises:
        ServerError: The first that a client met; the others end with their next answer.
    """
    taken: list[float] = []
    failed: list[ServerError] = []
    end = time.perf_counter() + seconds

    def ask(client: Client, first: int) -> None:
        turn = itertools.cycle(batches[first:] + batches[:first])
        try:
            while time.perf_counter() < end and not failed:
                taken.append(client.ask(next(turn)))
        except ServerError as error:
            failed.append(error)

    threads = [threading.Thread(target=ask, args=(client, n % len(batches))) for n, client in enumerate(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    return taken


def main(arguments: list[str]) -> int:
    """Runs the test; returns the exit code."""
    parser = argparse.ArgumentParser(description="How fast a TensorFlow Serving answers.")
    parser.add_argument("address", help="host and port of REST, such as localhost:8501")
    parser.add_argument("model", help="the served model")
    parser.add_argument("--users", type=Path, help="a file with a user id a line")
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--batch", type=int, default=1, help="users a request")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--signature", default="recommend")
    given = parser.parse_args(arguments)
    users = given.users.read_text().split() if given.users else [f"unknown-{n}" for n in range(1000)]
    if not users:
        parser.error(f"{given.users} has no user id.")
    count = max(1, len(users) // given.batch)
    batches = [list(itertools.islice(itertools.cycle(users), n * given.batch, (n + 1) * given.batch)) for n in range(count)]
    try:
        clients = [Client(given.address, given.model, given.signature) for _ in range(given.clients)]
        for client in clients:
            client.ask(batches[0])  # connected
        begun = time.perf_counter()
        taken = sorted(load(clients, batches, given.seconds))
        rate = len(taken) / (time.perf_counter() - begun)
    except ServerError as error:
        print(error, file=sys.stderr)
        return 1
    p50, p99 = (1e3 * taken[int(share * (len(taken) - 1))] for share in (0.5, 0.99))
    print(f"{len(taken):,} requests of {given.batch} users by {given.clients} clients: {rate:,.0f} requests a second,")
    print(f"{rate * given.batch:,.0f} users a second; p50 {p50:.1f} ms, p99 {p99:.1f} ms, longest {1e3 * taken[-1]:.1f} ms")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
