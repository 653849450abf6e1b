"""Asks a TensorFlow Serving for recommendations, a share of the users from the version that is tried (the label `canary`).

    python canary_client.py localhost:8501 gmf 42 43 --share 0.05 --k 10

Which users try it depends on their ids alone: a user stays with one version, and whoever tries it at 5 % does at 20 %. Needs
Python alone. Start the server with the files that `tfadt push` writes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import urllib.error
import urllib.request
from typing import Any


def label_of(user: str, share: float, trial: str) -> str:
    """Returns which version a user is answered by, `canary` for a share of them.

    Args:
        user: The user id.
        share: From 0 to 1.
        trial: Name of the trial: another one draws other users.
    """
    drawn = int.from_bytes(hashlib.sha256(f"{trial}/{user}".encode()).digest()[:8]) / 2**64
    return "canary" if drawn < share else "stable"


def recommend(address: str, model: str, label: str, users: list[str]) -> list[dict[str, Any]]:
    """Returns the answer for each user: `item_ids`, `scores` and `known_user`."""
    url = f"http://{address}/v1/models/{model}/labels/{label}:predict"
    body = {"signature_name": "recommend", "instances": [{"user_id": user} for user in users]}
    request = urllib.request.Request(url, json.dumps(body).encode())
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            predictions: list[dict[str, Any]] = json.load(response)["predictions"]
            return predictions
    except urllib.error.HTTPError as error:
        sys.exit(f"{url} answers {error.code}: {error.read().decode(errors='replace')[:500]}")
    except OSError as error:
        sys.exit(f"No server answers at http://{address}: {getattr(error, 'reason', error)}.")


def main() -> None:
    """Asks for each user at the label that is theirs, and prints the best items."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address", help="host and REST port, such as localhost:8501")
    parser.add_argument("model", help="name of the served model, such as gmf")
    parser.add_argument("users", nargs="+", help="user ids")
    parser.add_argument("--share", type=float, default=0.05, help="of the users who are answered by the canary")
    parser.add_argument("--trial", default="1", help="name of the trial: another one draws other users")
    parser.add_argument("--k", type=int, default=10, help="how many items, at most the export's k")
    given = parser.parse_args()
    if not 0 <= given.share <= 1:
        parser.error(f"--share is from 0 to 1. Received: {given.share}.")
    for label in ("stable", "canary"):
        users = [user for user in given.users if label_of(user, given.share, given.trial) == label]
        for user, row in zip(users, recommend(given.address, given.model, label, users) if users else [], strict=True):
            places = row["item_ids"]
            if not 1 <= given.k <= len(places):
                sys.exit(f"The export ranks {len(places)} items. Expected --k from 1 to that. Received: {given.k}.")
            print(f"{user} ({label}): {', '.join(item for item in places[: given.k] if item)}")


if __name__ == "__main__":
    main()
