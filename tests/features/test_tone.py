"""Tone and respect (A3, D2, D7, C3), from drawn histories."""

import math

import pytest
from histories import columns_of

from features.contract import spoken
from features.tone import SIGNAL

SURVEYED = "ago kind score\n 500 staff_morale 1"
WORSENING = """
    ago  tone
    4    -1
    30   -0.5
    60   -0.49
    80   -
    100  0.5
    200  1
    300  0.333
"""


def test_tone_is_averaged_over_marked_contacts_alone():
    found = columns_of(SIGNAL, interactions=WORSENING)
    assert found["tone_mean_90"] == pytest.approx((-1 - 0.5 - 0.49) / 3)
    assert found["tone_mean_365"] == pytest.approx((-1 - 0.5 - 0.49 + 0.5 + 1 + 0.333) / 6)
    assert found["hostile_180"] == 2  # −0.5 is hostile, −0.49 is not
    assert found["hostile_share_180"] == 0.5  # of four marked


def test_a_fall_is_against_the_clients_own_past_shrunk_to_its_segment():
    clients = "client segment\n a x\n b x\n c y"
    others = "\n".join(["b 10 0.5"] * 6 + ["c 10 -1"] * 9)
    rows = f"client ago tone\n a 5 -1\n a 6 -1\n a 100 1\n {others}"
    typical = (-2 + 1 + 6 * 0.5) / 9
    usual = (1 + 5 * typical) / 6
    recent = (-2 + 5 * usual) / 7
    found = columns_of(SIGNAL, interactions=rows, clients=clients)
    assert found["tone_fall_90"] == pytest.approx(usual - recent)
    among_all = columns_of(SIGNAL, interactions=rows)["tone_fall_90"]
    assert among_all < found["tone_fall_90"]  # where others are hostile, so much was to be expected


def test_no_recent_mark_is_no_fall():
    found = columns_of(SIGNAL, interactions="ago tone\n 5 -\n 100 1\n 200 1")
    assert found["tone_fall_90"] == 0
    assert math.isnan(found["tone_mean_90"])
    assert found["tone_mean_365"] == 1


@pytest.mark.parametrize(
    ("direction", "channel", "counts"),
    [
        ("inbound", "email", True),
        ("outbound", "call", True),  # a call that we placed, and in which the client shouted
        ("outbound", "meeting", True),
        ("outbound", "email", False),  # our own words
        ("outbound", "chat", False),
        ("outbound", "-", True),
        ("-", "email", True),
    ],
)
def test_the_mark_is_the_contacts_whoever_began_it_but_not_of_what_we_wrote(direction, channel, counts):
    found = columns_of(SIGNAL, interactions=f"ago direction channel tone\n 5 {direction} {channel} -1")
    assert found["hostile_180"] == counts


def test_a_late_mark_and_an_amended_one_count_as_they_were_known():
    late = columns_of(SIGNAL, interactions="ago known tone\n 5 0 -1\n 9 9 1")
    assert (late["tone_mean_90"], late["hostile_180"]) == (1, 0)
    amended = columns_of(SIGNAL, interactions="id ago known superseded tone\n m 5 5 2 -1\n m 5 2 - 0.5")
    assert (amended["tone_mean_90"], amended["hostile_180"]) == (0.5, 0)
    amended_later = columns_of(SIGNAL, interactions="id ago known superseded tone\n m 5 5 0 -1\n m 5 0 - 0.5")
    assert (amended_later["tone_mean_90"], amended_later["hostile_180"]) == (-1, 1)


def test_staff_morale_is_the_mean_mark_of_a_year():
    surveys = f"{SURVEYED}\n 20 staff_morale 2\n 30 staff_morale 3.5\n 30 nps 9"
    assert columns_of(SIGNAL, interactions="ago\n 5", surveys=surveys)["staff_morale_365"] == 2.75


def test_without_surveys_there_is_no_morale():
    assert "staff_morale_365" not in columns_of(SIGNAL, interactions="ago\n 5")


def test_nothing_marked_is_unknown():
    found = columns_of(SIGNAL, interactions="ago kind\n 5 complaint", surveys=SURVEYED)
    assert {name for name, value in found.items() if not math.isnan(value)} == {"hostile_180", "tone_fall_90"}
    assert (found["hostile_180"], found["tone_fall_90"]) == (0, 0)


def test_words_are_plain_facts():
    found = columns_of(SIGNAL, interactions=WORSENING)
    words = {column.name: spoken(column.raises, found) for column in SIGNAL.columns if column.name in found}
    assert words["tone_mean_90"] == ("The tone of the marked contacts of the last 90 days is -0.7 on average (−1 = hostile, 1 = friendly).")
    assert words["hostile_share_180"] == "Contacts of the last 180 days marked with a tone of −0.5 or lower: 2, 50% of all marked ones."
    assert words["tone_fall_90"] == (
        "The tone of the marked contacts is -0.7 on average in the last 90 days and -0.0 in the last year (−1 = hostile, 1 = friendly)."
    )
