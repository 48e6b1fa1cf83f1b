"""Label and field selectors: meaning, normal form, upstream's refusals."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampan.api.selectors import (
    SelectorError,
    from_label_selector,
    from_labels,
    parse_field_selector,
    parse_label_selector,
)


@pytest.mark.parametrize(("text", "labels", "matches"), [
    ("", {}, True), ("a=b", {"a": "b"}, True), ("a==b", {"a": "c"}, False), ("a!=b", {}, True),
    ("a in (b,c)", {"a": "c"}, True), ("a in (b,c)", {}, False), ("a notin (b)", {}, True),
    ("a notin (b)", {"a": "b"}, False), ("a", {"a": ""}, True), ("!a", {"a": ""}, False), ("!a", {}, True),
    ("a=b,!c", {"a": "b"}, True), ("a=b,!c", {"a": "b", "c": "d"}, False), ("a=", {"a": ""}, True),
    ("a>3", {"a": "10"}, True), ("a<3", {"a": "10"}, False), ("a>3", {"a": "x"}, False),
    (" a  in ( b , c ) ", {"a": "b"}, True), ("in in (in)", {"in": "in"}, True), ("a in ()", {"a": ""}, True),
    ("app.kubernetes.io/name=x", {"app.kubernetes.io/name": "x"}, True),
])
def test_label_selectors_match(text, labels, matches):
    assert parse_label_selector(text).matches(labels) is matches


@pytest.mark.parametrize(("text", "message"), [
    ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
    ("a,", "found '', expected: identifier after ','"),
    ("a in b", "unable to parse requirement: found 'b' expected: '('"),
    ("=a", "found '=', expected: !, identifier, or 'end of string'"),
    ("a=b=c", "found '=', expected: ',' or 'end of string'"),
    ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
    ("!", "unable to parse requirement: found '', expected: identifier"),
    ("a>x", "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value must be "
            "an integer"),
])
def test_label_selectors_are_refused_in_upstream_s_words(text, message):
    with pytest.raises(SelectorError) as refusal:
        parse_label_selector(text)
    assert str(refusal.value) == message


def test_invalid_keys_and_values_are_refused():
    with pytest.raises(SelectorError, match="name part must consist of alphanumeric"):
        parse_label_selector("-a=b")
    with pytest.raises(SelectorError, match="a valid label must be an empty string"):
        parse_label_selector("a=-b")


def test_label_selector_objects():
    assert not from_label_selector(None).matches({}) and not from_label_selector(None).empty
    assert from_label_selector({}).matches({}) and from_label_selector({}).empty
    selector = from_label_selector({"matchLabels": {"a": "b"}, "matchExpressions": [
        {"key": "c", "operator": "In", "values": ["d", "e"]}, {"key": "f", "operator": "DoesNotExist"}]})
    assert selector.matches({"a": "b", "c": "e"})
    assert not selector.matches({"a": "b", "c": "e", "f": ""})
    assert str(selector) == "a=b,c in (d,e),!f"
    with pytest.raises(SelectorError, match='^"Foo" is not a valid label selector operator$'):
        from_label_selector({"matchExpressions": [{"key": "a", "operator": "Foo"}]})


def test_field_selectors():
    selector = parse_field_selector("spec.nodeName=n1,status.phase!=Failed")
    assert selector.matches({"spec.nodeName": "n1", "status.phase": "Running"})
    assert not selector.matches({"spec.nodeName": "n1", "status.phase": "Failed"})
    assert selector.exact("spec.nodeName") == "n1" and selector.exact("status.phase") is None
    assert parse_field_selector("").empty
    assert parse_field_selector(r"a=x\,y\=z").requirements[0].value == "x,y=z"
    with pytest.raises(SelectorError, match="^invalid selector: 'abc'; can't understand 'abc'$"):
        parse_field_selector("abc")
    with pytest.raises(SelectorError, match="invalid escape sequence"):
        parse_field_selector("a=\\b")


_KEYS = st.sampled_from(["a", "b", "c"])
_VALUES = st.sampled_from(["", "x", "y", "z"])
_LABELS = st.dictionaries(_KEYS, _VALUES)
_TERMS = st.one_of(
    st.tuples(_KEYS, st.sampled_from(["=", "!="]), _VALUES).map("".join),
    st.tuples(_KEYS, st.sampled_from([" in ", " notin "]), st.lists(_VALUES, min_size=1)).map(
        lambda t: f"{t[0]}{t[1]}({','.join(t[2])})"),
    _KEYS, _KEYS.map("!{}".format))


@given(st.lists(_TERMS, max_size=4), _LABELS)
def test_a_selector_is_the_conjunction_of_its_terms_and_survives_printing(terms, labels):
    selector = parse_label_selector(",".join(terms))
    assert selector.matches(labels) == all(parse_label_selector(term).matches(labels) for term in terms)
    assert parse_label_selector(str(selector)).matches(labels) == selector.matches(labels)


@given(_KEYS, st.lists(_VALUES, min_size=1), _LABELS)
def test_in_and_notin_are_opposites(key, values, labels):
    joined = ",".join(values)
    assert (parse_label_selector(f"{key} in ({joined})").matches(labels)
            != parse_label_selector(f"{key} notin ({joined})").matches(labels))


@given(_LABELS)
def test_a_set_selects_itself(labels):
    assert from_labels(labels).matches(labels)
