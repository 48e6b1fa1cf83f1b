"""Ages and lists as kubectl shows them."""

from datetime import timedelta

import pytest

from sampan.apiserver.kinds.table import few, human_duration, selector_text

DAY = 86400


@pytest.mark.parametrize("seconds,text", [
    (-5, "<invalid>"), (-1, "0s"), (0, "0s"), (119, "119s"), (120, "2m"), (121, "2m1s"), (599, "9m59s"), (600, "10m"),
    (3 * 3600 - 1, "179m"), (3 * 3600, "3h"), (3 * 3600 + 60, "3h1m"), (8 * 3600, "8h"), (47 * 3600, "47h"),
    (2 * DAY, "2d"), (2 * DAY + 3600, "2d1h"), (8 * DAY, "8d"), (729 * DAY, "729d"), (730 * DAY, "2y"),
    (731 * DAY, "2y1d"), (9 * 365 * DAY, "9y"),
])
def test_durations(seconds, text):
    assert human_duration(timedelta(seconds=seconds)) == text


def test_lists():
    assert few([]) == "<none>" and few(list("abc")) == "a,b,c" and few(list("abcde")) == "a,b,c + 2 more..."


def test_selectors():
    assert selector_text(None) == selector_text({}) == "<none>"
    assert selector_text({"matchLabels": {"b": "1"}, "matchExpressions": [
        {"key": "a", "operator": "In", "values": ["y", "x"]}, {"key": "c", "operator": "DoesNotExist"},
        {"key": "d", "operator": "NotIn", "values": ["z"]}, {"key": "e", "operator": "Exists"},
    ]}) == "a in (x,y),b=1,!c,d notin (z),e"
