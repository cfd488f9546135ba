"""The OpenAPI document is true: schemathesis tries every route against it, in this process."""

import io

import numpy as np
import schemathesis
from hypothesis import strategies as st
from PIL import Image
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import Status, events, from_schema

from offmap.guard.serve.app import create_app
from offmap.guard.serve.limits import Limits

TOKEN = "a-token-of-thirty-two-characters"


def saved(write, values):
    file = io.BytesIO()
    write(file, np.resize(np.array(values, np.uint8), (8, 8)))
    return file.getvalue()


SHADES = st.lists(st.integers(0, 255), min_size=1, max_size=64)
BODIES = {
    "application/x-npy": lambda file, array: np.save(file, array),
    "image/png": lambda file, array: Image.fromarray(array).save(file, "PNG"),
    "image/jpeg": lambda file, array: Image.fromarray(array).save(file, "JPEG"),
}
for kind, write in BODIES.items():
    schemathesis.openapi.media_type(kind, SHADES.map(lambda v, write=write: saved(write, v)))

# That data, shape and datatype of a tensor fit together is more than a schema can say.
INFER = {
    "include-path-regex": "/infer$",
    "checks": {
        "positive_data_acceptance": {"expected-statuses": ["2xx", "400", "404"]},
    },
}


SETTINGS = {
    "seed": 1,
    "generation": {"max-examples": 8, "database": "none", "deterministic": True},
    "operations": [INFER],
}


def test_every_route_keeps_its_word(guard):
    """All phases (examples, coverage, fuzzing, stateful) with all checks, as by its command."""
    app = create_app(guard, name="digits", limits=Limits(gather_seconds=0.0))
    config = SchemathesisConfig.from_dict(SETTINGS)
    schema = schemathesis.openapi.from_asgi("/openapi.json", app, config=config)
    wrong, checked, routes = [], set(), set()
    for event in from_schema(schema).execute():
        assert not isinstance(event, events.FatalError | events.NonFatalError), event
        if isinstance(event, events.ScenarioFinished):
            for number, checks in event.recorder.checks.items():
                case = event.recorder.cases[number].value
                routes.add((case.method, case.path))
                checked |= {check.name for check in checks}
                wrong += [
                    f"{case.method} {case.formatted_path}: {check.name}: "
                    f"{check.failure_info and check.failure_info.failure}"
                    for check in checks
                    if check.status != Status.SUCCESS
                ]
    assert not wrong, "\n".join(wrong)
    assert len(routes) >= 14
    assert {
        "not_a_server_error", "status_code_conformance", "content_type_conformance",
        "response_schema_conformance", "negative_data_rejection", "positive_data_acceptance",
    } <= checked  # fmt: skip


def test_every_route_is_in_the_document(client):
    ask = client(name="digits", token=TOKEN)
    made = ask.get("/openapi.json", headers={"authorization": f"Bearer {TOKEN}"}).json()
    assert set(made["paths"]) == {
        "/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/{model}",
        "/v2/models/{model}/versions/{version}", "/v2/models/{model}/ready",
        "/v2/models/{model}/versions/{version}/ready", "/v2/models/{model}/infer",
        "/v2/models/{model}/versions/{version}/infer", "/answer", "/guard", "/alarm", "/metrics",
    }  # fmt: skip
    for path, operations in made["paths"].items():
        for operation in operations.values():
            protected = "health" not in path
            assert ("security" in operation) is protected
            assert ("401" in operation["responses"]) is protected
    bodies = made["paths"]["/answer"]["post"]["requestBody"]["content"]
    assert set(bodies) == {"application/json", *BODIES}
    assert made["components"]["schemas"]["Question"]["properties"]["inputs"]["maxItems"] == 1024


def test_no_page_loads_from_elsewhere(client):
    """FastAPI's own pages would; and nothing reports to OpenTelemetry, whatever is set."""
    ask = client()
    for path in ("/docs", "/redoc", "/docs/oauth2-redirect"):
        assert ask.get(path).status_code == 404
    told = ask.app._telemetry
    assert not any(told[what] for what in ("auto_configure", "tracing", "metrics", "logs"))
    page = ask.get("/")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for path in ("/", "/page.js", "/page.css"):
        text = ask.get(path).text.replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text and "https://" not in text and "//" not in text.split("// ")[0]
