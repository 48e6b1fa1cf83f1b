"""Status objects and messages, word for word."""

import pytest

from sampan.api import errors, resources
from sampan.api.errors import FieldError


def test_not_found():
    error = errors.NotFound.of(resources.DEPLOYMENTS, "web")
    assert error.status == {
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": 'deployments.apps "web" not found', "reason": "NotFound",
        "details": {"name": "web", "group": "apps", "kind": "deployments"}, "code": 404}


def test_conflict_and_forbidden_texts():
    assert errors.Conflict.of(resources.PODS, "x").message == (
        'Operation cannot be fulfilled on pods "x": the object has been modified; please apply your changes to the '
        "latest version and try again")
    assert errors.Forbidden.of(resources.PODS, "", "no").message == "pods is forbidden: no"
    assert errors.AlreadyExists.of(resources.PODS, "x").message == 'pods "x" already exists'
    assert errors.InternalError("boom").message == "Internal error occurred: boom"


def test_invalid_carries_the_causes():
    wrong = FieldError.invalid("spec.replicas", -1, "must be greater than or equal to 0")
    error = errors.Invalid.of(resources.DEPLOYMENTS, "x", [wrong])
    assert error.message == ('Deployment.apps "x" is invalid: spec.replicas: Invalid value: -1: must be greater than '
                             "or equal to 0")
    assert error.status["details"] == {"name": "x", "group": "apps", "kind": "Deployment", "causes": [
        {"reason": "FieldValueInvalid", "message": "Invalid value: -1: must be greater than or equal to 0",
         "field": "spec.replicas"}]}
    two = errors.Invalid.of(resources.PODS, "x", [FieldError.required("a"), FieldError.required("b"),
                                                  FieldError.required("a")])
    assert two.message == 'Pod "x" is invalid: [a: Required value, b: Required value]'
    assert len(two.causes) == 3


@pytest.mark.parametrize(("error", "text"), [
    (FieldError.not_supported("a", "x", ["Y", "Z"]), 'a: Unsupported value: "x": supported values: "Y", "Z"'),
    (FieldError.duplicate("a[1]", "x"), 'a[1]: Duplicate value: "x"'),
    (FieldError.required("a", "say it"), "a: Required value: say it"),
    (FieldError.forbidden("a", "no"), "a: Forbidden: no"),
    (FieldError.too_long("a", "xxx", 2), "a: Too long: may not be more than 2 bytes"),
    (FieldError.invalid("a", {"k": ["v"]}, "no"), 'a: Invalid value: {"k":["v"]}: no'),
    (FieldError.invalid("a", True, "no"), "a: Invalid value: true: no"),
])
def test_field_errors(error, text):
    assert str(error) == text


@pytest.mark.parametrize("error", [
    errors.Conflict("x"), errors.AlreadyExists("x"), errors.Expired("x"), errors.Unauthorized("x"),
    errors.TooManyRequests("x", 3), errors.Timeout("x"), errors.NotAcceptable("x"), errors.ServiceUnavailable("x")])
def test_status_round_trip(error):
    again = errors.ApiError.from_status(error.status)
    assert type(again) is type(error)
    assert (again.status, again.code, str(again)) == (error.status, error.code, str(error))
    assert again.retry_after_seconds == error.retry_after_seconds


def test_unknown_reasons_fall_back_to_the_code():
    assert isinstance(errors.ApiError.from_status({"code": 409}), errors.Conflict)
    assert isinstance(errors.ApiError.from_status({"code": 404, "reason": "Odd"}), errors.NotFound)
    odd = errors.ApiError.from_status({"code": 418, "message": "tea"})
    assert (odd.code, str(odd)) == (418, "tea")
