"""What the evidence says of ties: which hold at the day, and what kind they are."""

from pathlib import Path

import pytest
from small_firm import MONEY, PAPERS, by_client, contacts, decided, firm


@pytest.mark.parametrize(
    ("ties", "kinds"),
    [
        ("calm tough ownership 300 100\ncalm tough partner 300 -", ["partner"]),  # the ownership has ended
        ("calm tough ownership 300 -\ncalm tough partner 300 -", ["ownership"]),
        ("calm tough ownership 300 -40\ncalm tough partner 300 -", ["ownership"]),  # it will end, and holds today
        ("calm tough - 300 -", [None]),  # of no stated kind: no referral
        ("calm tough - 300 -\ncalm tough referral 300 -", ["referral"]),
        ("calm tough referral 300 100", []),
    ],
)
def test_only_ties_that_hold_count_and_an_unknown_kind_is_none(tmp_path: Path, ties: str, kinds: list[str | None]):
    drawn = MONEY | PAPERS | {"interactions": contacts(), "ties": f"client other_client_id kind ago until_ago\n{ties}"}
    tough = by_client(decided(firm(tmp_path, drawn)))["tough"]["evidence"]
    assert [tie["kind"] for tie in tough["ties"]] == kinds
