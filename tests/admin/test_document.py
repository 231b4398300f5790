"""The description tells the truth: what it says can be sent, and nothing else comes back."""

import json
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import positive_data_acceptance

from idp.web.admin.operations import PREFIX
from tests.house import ADMIN_TOKEN, build

thorough = settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Any:
    house = build(tmp_path_factory.mktemp("document"))
    document = json.loads(house.call(f"{PREFIX}/openapi.json").data)
    document["servers"] = [{"url": PREFIX}]
    yield schemathesis.openapi.from_wsgi(f"{PREFIX}/openapi.json", house.app.wsgi)
    house.app.close()


def test_whatever_is_sent_is_answered_as_described(schema: Any) -> None:
    operations = [result.ok() for result in schema.get_all_operations()]
    assert len(operations) > 15
    for operation in operations:

        @thorough
        @given(case=operation.as_strategy())
        def try_it(case: Any) -> None:
            headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
            case.call_and_validate(headers=headers, excluded_checks=[positive_data_acceptance])

        try_it()
