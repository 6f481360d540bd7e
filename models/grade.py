"""Figures with intervals -> a grade in words that a manager understands, against the rule to beat and chance, with counts.

unreliable  too few positive clients (that left, or proved misfits) to learn from, whatever the figures say
unknown     nobody was positive in the final test period, or everybody: no ranking to judge
unproven    not shown to rank positives above others at all: the interval of the AUC reaches one half
poor        ranks worse than the rule, beyond noise
fair        better than chance, not shown to be better than the rule
good        ranks better than the rule, beyond noise
very good   also better than windowed RFM, and finds more positives than the rule among as many as a team can contact, beyond noise

The rule is the label's own on the last window where the target has one (misfit), else recency: who looked at last month's books, or at who
has been silent for long, knows as much without a model.

The level is read from the final test period alone, which no choice was made on, by paired 95 % intervals. What is said of the
probabilities is read from all out-of-time predictions, rolling origins and test, since a mean and a slope need many positives; each was
calibrated on earlier ones, or out of bag where there were fewer than two. "At face value" must be carried by the intervals: mean and slope
must both be known to lie near 1, not merely not known to lie elsewhere, and over more than one day they were judged from.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from models.misfit import SAME_RULE

NEAR_ON_AVERAGE = (0.8, 1.25)  # predicted over observed, within which a mean probability is right for any decision made on it
PERIODS_AT_LEAST = 2  # as_ofs judged: an interval over clients holds nothing of the luck of the one period they were all judged in
NEAR_IN_SLOPE = (0.75, 1 / 0.75)  # calibration slope, likewise

RULES = {SAME_RULE: "the same rule on the last window", "recency": "the recency rule"}

TITLES = {
    "unreliable": "Not to be relied upon",
    "unknown": "Not known",
    "unproven": "Unproven",
    "poor": "Poor",
    "fair": "Fair",
    "good": "Good",
    "very good": "Very good",
}


@dataclass(frozen=True)
class Words:
    """How the target is spoken of: clients that `happens` (leave), of whom so many `happened` (left), looked at each `each` (month).

    positive: heads a column of counts and follows a share ("lost of", "5 % lost"). foremost: whom the model names first (riskiest).
    """

    happens: str
    each: str
    happened: str
    positive: str
    foremost: str


@dataclass(frozen=True)
class Grade:
    """A level of TITLES, and the sentences that say it."""

    level: str
    text: str

    def to_json(self) -> dict[str, str]:
        return asdict(self)


def grade(test: Mapping[str, Any], everything: Mapping[str, Any], training: Mapping[str, Any], words: Words) -> Grade:
    """test: the final period's figures (models/judgement.py). everything: those of all out-of-time rows (models/slices.py, `all`).

    training: is_reliable and n_churned_clients of the evaluated model.
    """
    level = level_of(test, is_reliable=training["is_reliable"])
    says = {
        "unreliable": lambda: _too_little(training, words),
        "unknown": lambda: (
            f"of {test['n_clients']:,} clients in the final test period {_all_or_none(test, words)}, so no ranking can be judged."
        ),
        "unproven": lambda: f"it is not shown to rank those that {words.happens} above the others ({_auc(test)}; 0.5 is chance).",
        "poor": lambda: f"{RULES[rule_of(test)]} ranks better ({_difference(test)}). {_sentence(_counts(test, words))}",
        "fair": lambda: (
            f"better than chance, not shown to be better than {RULES[rule_of(test)]} ({_difference(test)})."
            f" {_sentence(_counts(test, words))}"
        ),
        "good": lambda: _counts(test, words),
        "very good": lambda: _counts(test, words),
    }[level]()
    spoken = [f"{TITLES[level]}: {says}"]
    if level in ("good", "very good"):
        spoken.append(f"It ranks better than {RULES[rule_of(test)]} beyond noise ({_difference(test)}).")
    if level not in ("unreliable", "unknown"):
        spoken.append(face_value(everything, words))
    return Grade(level, " ".join(spoken))


def level_of(test: Mapping[str, Any], *, is_reliable: bool) -> str:
    """The level, by the first rule that holds."""
    auc, against_rule = test["model"]["auc"], _against(test)["auc"]
    if not is_reliable:
        return "unreliable"
    if auc["value"] is None:
        return "unknown"
    if not _above(auc, 0.5):
        return "unproven"
    if against_rule["high"] is not None and against_rule["high"] < 0:
        return "poor"
    if not _above(against_rule, 0.0):
        return "fair"
    finds_more = _above(_against(test)["found_at_capacity"], 0.0)
    return "very good" if finds_more and _above(test["model_minus_rfm"]["auc"], 0.0) else "good"


def rule_of(test: Mapping[str, Any]) -> str:
    """The baseline that a model must beat: the first of RULES that these figures have."""
    return next(name for name in RULES if name in test)


def _against(test: Mapping[str, Any]) -> Mapping[str, Any]:
    against: Mapping[str, Any] = test[f"model_minus_{rule_of(test)}"]
    return against


def face_value(everything: Mapping[str, Any], words: Words) -> str:
    """What the intervals of mean and slope say of the probabilities."""
    ratio, slope, share = everything["predicted_over_observed"], everything["calibration_slope"], everything["prevalence"]["value"]
    if None in (ratio["value"], ratio["low"], ratio["high"], slope["value"], slope["low"], slope["high"]):
        return "Whether its probabilities hold could not be checked."
    if ratio["low"] > 1 or ratio["high"] < 1:
        way = "high" if ratio["low"] > 1 else "low"
        return f"Its probabilities are too {way} on average: {share * ratio['value']:.1%} predicted, {share:.1%} happened."
    if slope["high"] < 1:
        return "Its probabilities are too sure: the high ones too high, the low ones too low."
    if slope["low"] > 1:
        return "Its probabilities are too cautious: the high ones should be higher, the low ones lower."
    if _within(ratio, NEAR_ON_AVERAGE) and _within(slope, NEAR_IN_SLOPE):
        if everything["n_as_ofs"] < PERIODS_AT_LEAST:
            return "Its probabilities held on the one day they were judged from; that says little of another season."
        return "Its probabilities can be taken at face value."
    n_lost = f"{everything['n_churned_clients']:,} clients that {words.happens} are too few to"
    if _within(ratio, NEAR_ON_AVERAGE):
        return f"Its probabilities hold on average; {n_lost} say whether the high ones do."
    return (
        f"Its probabilities are not shown to be off, but {n_lost} take them at face value: what happens may be {1 / ratio['high']:.1f} to"
        f" {1 / ratio['low']:.1f} times what they say."
    )


def _too_little(training: Mapping[str, Any], words: Words) -> str:
    return (
        f"it learned from only {training['n_churned_clients']} clients that {words.happens}. Its ranking is a hint at best, and its "
        "probabilities are no numbers to plan with."
    )


def _counts(test: Mapping[str, Any], words: Words) -> str:
    named, chance = test["at_capacity"]["contacted"], test["at_capacity"]["found_by_chance"]["value"]
    found, by_rule = test["model"]["found_at_capacity"], test[rule_of(test)]["found_at_capacity"]["value"]
    gain = _against(test)["found_at_capacity"]
    luck = (
        "" if _above(gain, 0.0) or (gain["high"] is not None and gain["high"] < 0) else "; among so few, model and rule may differ by luck"
    )
    return (
        f"of the {named:.0f} clients it names per {words.each}, about {_number(found['value'])} {words.happens}{_range(found)}; "
        f"{RULES[rule_of(test)]} names {_number(by_rule)}, chance {_number(chance)}{luck}."
    )


def _number(value: float, beside: float | None = None) -> str:
    """Whole from 3 on; below, one decimal, since 1 against 1 would hide 1.4 against 0.6. Ends of an interval are written as its value."""
    return f"{value:.0f}" if (value if beside is None else beside) >= 3 else f"{value:.1f}"


def _range(figure: Mapping[str, Any]) -> str:
    return "" if figure["low"] is None else f" ({' to '.join(_number(figure[end], figure['value']) for end in ('low', 'high'))})"


def _auc(test: Mapping[str, Any]) -> str:
    auc = test["model"]["auc"]
    return f"AUC {auc['value']:.2f}" + ("" if auc["low"] is None else f", {auc['low']:.2f} to {auc['high']:.2f}")


def _difference(test: Mapping[str, Any]) -> str:
    difference = _against(test)["auc"]
    ends = "" if difference["low"] is None else f"; difference {difference['low']:+.2f} to {difference['high']:+.2f}"
    return f"AUC {test['model']['auc']['value']:.2f} against {test[rule_of(test)]['auc']['value']:.2f}{ends}"


def _all_or_none(test: Mapping[str, Any], words: Words) -> str:
    return f"{'all' if test['n_churned_clients'] else 'none'} {words.happened}"


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]


def _above(figure: Mapping[str, Any], bar: float) -> bool:
    return figure["low"] is not None and figure["low"] > bar


def _within(figure: Mapping[str, Any], limits: tuple[float, float]) -> bool:
    return bool(limits[0] <= figure["low"] and figure["high"] <= limits[1])
