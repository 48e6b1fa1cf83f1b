"""Roles made of roles: what is selected is put together, and only differences are written."""

from typing import Any

from sampan.api.resources import CLUSTERROLES
from sampan.controllers.clusterrole_aggregation import ClusterRoleAggregationController, plan
from tests.unit.controllers.world import world

READ = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
WRITE = {"apiGroups": [""], "resources": ["pods"], "verbs": ["create"]}
SELECT = {"clusterRoleSelectors": [{"matchLabels": {"to-mine": "true"}}]}


def role(name: str, rules: list[Any], labels: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": labels or {}, "resourceVersion": "1"}, "rules": rules, **more}


def test_selected_rules_are_put_together_once():
    mine = role("mine", [], aggregationRule=SELECT)
    others = [role("b", [WRITE, READ], {"to-mine": "true"}), role("a", [READ], {"to-mine": "true"}), role("c", [WRITE])]
    patch = plan(mine, [mine, *others])
    assert patch == {"metadata": {"resourceVersion": "1"}, "rules": [READ, WRITE]}
    assert plan({**mine, "rules": [READ, WRITE]}, [mine, *others]) is None


def test_a_role_without_the_rule_is_left_alone():
    assert plan(role("plain", [READ]), [role("a", [WRITE], {"to-mine": "true"})]) is None


async def test_a_new_role_widens_the_one_that_selects_it():
    async with world(only=(ClusterRoleAggregationController,)) as there:
        await there.create(CLUSTERROLES, {"metadata": {"name": "mine"}, "aggregationRule": SELECT, "rules": []})
        await there.create(CLUSTERROLES, {"metadata": {"name": "a", "labels": {"to-mine": "true"}}, "rules": [READ]})

        async def widened() -> bool:
            return ((await there.get(CLUSTERROLES, "mine")) or {}).get("rules") == [READ]

        assert await there.until(widened)
