"""What a probe must lie above: the controls by name, and which of them it does not beat."""

from collections.abc import Mapping, Sequence

from interp.core.statistics.intervals import Interval

CONTROLS = {
    "shuffled": "shuffled labels",
    "control_task": "control task",
    "untrained": "untrained model",
    "bag_of_words": "bag of words",
}
WORDS = "bag_of_words"
"""No control of whether the model holds the variable: it says whether the text's words do."""


def strongest_controls(
    controls: Mapping[str, Sequence[Interval]], best: int
) -> dict[str, Interval]:
    """What each control reaches: at the best site; the untrained model at its own best one."""
    reached = {name: sites[best] for name, sites in controls.items()}
    if "untrained" in controls:
        reached["untrained"] = max(controls["untrained"], key=lambda i: i.value)
    return reached


def unbeaten_controls(value: Interval, strongest: Mapping[str, Interval]) -> tuple[str, ...]:
    """Controls whose interval the probe's does not lie above (the words apart)."""
    return tuple(
        name for name, each in strongest.items() if name != WORDS and not value.above(each)
    )


def verdict(unbeaten: Sequence[str], controls: Mapping[str, Sequence[Interval]]) -> str:
    """A sentence: a warning, or what follows where every control is beaten."""
    warnings = []
    if unbeaten:
        names = ", ".join(CONTROLS.get(name, name) for name in unbeaten)
        warnings.append(f"it does not beat: {names}; this is no evidence that it was learned")
    if "untrained" not in controls:
        warnings.append(
            "no untrained model could be made, so this does not show that training put the "
            "variable there"
        )
    if warnings:
        return f"WARNING: {'; '.join(warnings)}."
    return "It lies above every control. That it can be read does not show that it is used."


def words_hint(value: Interval, controls: Mapping[str, Sequence[Interval]], what: str) -> str:
    """A sentence where the words alone do as well, else nothing; `what` names the number."""
    words = controls.get(WORDS)
    if not words or words[0].high < value.value:
        return ""
    return (
        f" A bag of words does as well, so the {what} alone does not show that the model adds "
        "anything to the words."
    )
