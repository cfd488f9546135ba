"""The Open Inference Protocol v2, by requests as its text has them."""

import json
import struct

import numpy as np
import pytest
import torch

from offmap.guard.facts import REASONS

INFER = "/v2/models/guard/infer"


def tensor(values, datatype="FP32", **more):
    shape = list(values.shape)
    return {"name": "input", "shape": shape, "datatype": datatype, "data": values.tolist()} | more


def columns(response):
    assert response.status_code == 200, response.text
    return {one["name"]: one for one in response.json()["outputs"]}


def test_health_and_metadata(client, guard):
    ask = client(name="digits")
    version = guard.facts.model_version
    assert ask.get("/v2/health/live").json() == {"live": True}
    assert ask.get("/v2/health/ready").json()["ready"] is True
    assert ask.get("/v2").json()["extensions"] == ["binary_tensor_data"]
    for path in ("/v2/models/digits", f"/v2/models/digits/versions/{version}"):
        told = ask.get(path).json()
        assert told["name"] == "digits" and told["versions"] == [version]
        assert told["inputs"] == [{"name": "input", "datatype": "FP32", "shape": [-1, 1, 8, 8]}]
        assert [(one["name"], one["datatype"], one["shape"]) for one in told["outputs"]] == [
            ("prediction", "INT64", [-1]), ("accepted", "BOOL", [-1]), ("p_value", "FP64", [-1]),
            ("score", "FP64", [-1]), ("reason", "BYTES", [-1]),
        ]  # fmt: skip
        assert ask.get(f"{path}/ready").json() == {
            "name": "digits", "ready": True, "degraded": None,
        }  # fmt: skip
    for path in ("/v2/models/other", "/v2/models/digits/versions/other", "/v2/models/other/ready"):
        assert ask.get(path).status_code == 404
        assert "error" in ask.get(path).json()


def test_verdicts_are_those_of_the_guard(client, guard, fresh):
    ask = client()
    odd = torch.rand(20, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    inputs = torch.cat((fresh[:50], odd))
    direct = guard(inputs)
    assert 0 < int(direct.accepted.sum()) < 70
    for path in (INFER, f"/v2/models/guard/versions/{guard.facts.model_version}/infer"):
        response = ask.post(path, json={"id": "x-1", "inputs": [tensor(inputs)]})
        assert response.json()["id"] == "x-1"
        assert response.json()["model_name"] == "guard"
        assert response.json()["model_version"] == guard.facts.model_version
        said = columns(response)
        assert all(one["shape"] == [70] for one in said.values())
        assert said["prediction"]["data"] == direct.prediction.tolist()
        assert said["accepted"]["data"] == direct.accepted.tolist()
        assert said["reason"]["data"] == [REASONS[code] for code in direct.reason]
        for name in ("p_value", "score"):  # batches of another size differ in the last bits
            got = torch.tensor(said[name]["data"], dtype=torch.double)
            assert torch.allclose(got, getattr(direct, name), atol=1e-5)


@pytest.mark.parametrize("datatype", ["FP32", "FP64"])
def test_flat_and_nested_data(client, fresh, datatype):
    ask = client()
    nested = tensor(fresh[:3], datatype)
    flat = nested | {"data": fresh[:3].flatten().tolist()}
    assert columns(ask.post(INFER, json={"inputs": [nested]})) == columns(
        ask.post(INFER, json={"inputs": [flat]})
    )


def test_bytes_are_shades(client, guard):
    ask = client()
    shades = torch.randint(256, (4, 1, 8, 8), generator=torch.Generator().manual_seed(1))
    said = columns(ask.post(INFER, json={"inputs": [tensor(shades, "UINT8")]}))
    direct = guard(shades.byte().float().div(255))
    assert said["score"]["data"] == pytest.approx(direct.score.tolist(), abs=1e-5)


def test_a_broken_contract_has_no_numbers(client, fresh):
    ask = client()
    inputs = fresh[:3].clone()
    inputs[1, 0, 3, 3] = 7.0
    said = columns(ask.post(INFER, json={"inputs": [tensor(inputs)]}))
    assert said["reason"]["data"][1] == "contract" and said["prediction"]["data"][1] == -1
    assert said["p_value"]["data"][1] is None and said["score"]["data"][1] is None
    assert None not in (said["p_value"]["data"][0], said["p_value"]["data"][2])
    body = json.dumps({"inputs": [tensor(inputs)]}).replace("7.0", "NaN")
    said = columns(ask.post(INFER, content=body, headers={"content-type": "application/json"}))
    assert said["reason"]["data"][1] == "contract"


def test_outputs_can_be_chosen(client, fresh):
    ask = client()
    request = {"inputs": [tensor(fresh[:2])], "outputs": [{"name": "accepted"}, {"name": "score"}]}
    response = ask.post(INFER, json=request)
    assert [one["name"] for one in response.json()["outputs"]] == ["accepted", "score"]
    assert "id" not in response.json()


def binary(inputs, **more):
    raw = inputs.numpy().tobytes()
    head = {
        "name": "input", "shape": list(inputs.shape), "datatype": "FP32",
        "parameters": {"binary_data_size": len(raw)},
    }  # fmt: skip
    text = json.dumps({"inputs": [head]} | more).encode()
    return text + raw, {"inference-header-content-length": str(len(text))}


def test_binary_tensors_both_ways(client, guard, fresh):
    """As tritonclient sends them by default, and reads them."""
    ask = client()
    wanted = [
        {"name": name, "parameters": {"binary_data": True}}
        for name in ("prediction", "p_value", "accepted", "reason")
    ]
    body, headers = binary(fresh[:5], outputs=[*wanted, {"name": "score"}])
    response = ask.post(INFER, content=body, headers=headers)
    assert response.status_code == 200, response.text
    length = int(response.headers["inference-header-content-length"])
    outputs = json.loads(response.content[:length])["outputs"]
    tail, direct = response.content[length:], guard(fresh[:5])
    parts = {}
    for one in outputs[:4]:
        size = one["parameters"]["binary_data_size"]
        parts[one["name"]], tail = tail[:size], tail[size:]
        assert "data" not in one
    assert tail == b"" and len(outputs[4]["data"]) == 5
    assert np.frombuffer(parts["prediction"], "<i8").tolist() == direct.prediction.tolist()
    assert np.frombuffer(parts["p_value"], "<f8") == pytest.approx(direct.p_value.numpy(), abs=1e-5)
    assert np.frombuffer(parts["accepted"], "?").tolist() == direct.accepted.tolist()
    texts, rest = [], parts["reason"]
    while rest:
        (count,) = struct.unpack("<I", rest[:4])
        texts, rest = [*texts, rest[4 : 4 + count].decode()], rest[4 + count :]
    assert texts == [REASONS[code] for code in direct.reason]
    body, headers = binary(fresh[:5], parameters={"binary_data_output": True})
    assert (
        "inference-header-content-length" in ask.post(INFER, content=body, headers=headers).headers
    )


def wrong(change):
    good = {"name": "input", "shape": [2, 1, 8, 8], "datatype": "FP32", "data": [0.5] * 128}
    return {"inputs": [good | change]}


REFUSED = {
    "no JSON": (b"{", "JSON"),
    "no inputs": ({}, "inputs"),
    "two inputs": ({"inputs": wrong({})["inputs"] * 2}, "inputs"),
    "too few numbers": (wrong({"data": [0.5] * 127}), "shape"),
    "another shape": (wrong({"shape": [2, 64]}), "[n, 1, 8, 8]"),
    "no rows": (wrong({"shape": [0, 1, 8, 8], "data": []}), "1 to 1024"),
    "too many rows": (wrong({"shape": [1025, 1, 8, 8]}), "1 to 1024"),
    "negative": (wrong({"shape": [-2, 1, 8, 8]}), "shape"),
    "text": (wrong({"data": ["secret"] * 128}), "text"),
    "null": (wrong({"data": [None] * 128}), "null"),
    "true": (wrong({"data": [True] * 128}), "true or false"),
    "ragged": (wrong({"data": [[0.5], [0.5, 0.5]]}), "uneven"),
    "datatype": (wrong({"datatype": "FLOAT"}), "datatype"),
    "BOOL": (wrong({"datatype": "BOOL"}), "BOOL"),
    "out of INT8": (wrong({"datatype": "INT8", "data": [300] * 128}), "INT8"),
    "halves as INT64": (wrong({"datatype": "INT64"}), "whole"),
    "unknown scale": (wrong({"datatype": "UINT16", "data": [1] * 128}), "uint16"),
    "huge": (wrong({"data": [10**400] * 128}), "numbers"),
    "no data": (wrong({"data": None}), "data"),
    "unknown output": (wrong({}) | {"outputs": [{"name": "logits"}]}, "outputs"),
    "id": (wrong({}) | {"id": 7}, "id"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_are_one_sentence_that_quotes_nothing(client, case):
    body, word = REFUSED[case]
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    response = client().post(INFER, content=content, headers={"content-type": "application/json"})
    assert response.status_code == 400
    (sentence,) = response.json().values()
    assert word in sentence and len(sentence) < 300
    assert "secret" not in sentence and "0.5" not in sentence


def test_binary_sizes_that_lie(client, fresh):
    ask = client()
    body, headers = binary(fresh[:2])
    assert ask.post(INFER, content=body[:-4], headers=headers).status_code == 400
    assert ask.post(INFER, content=body + b"1", headers=headers).status_code == 400
    for lie in ("-1", "99999999", "x", "²", "9" * 5000):
        sent = {"inference-header-content-length": lie.encode()}
        assert ask.post(INFER, content=body, headers=sent).status_code == 400


def test_the_type_of_the_body_is_asked_for(client, fresh):
    body = json.dumps({"inputs": [tensor(fresh[:1])]})
    sent = client().post(INFER, content=body, headers={"content-type": "text/plain"})
    assert sent.status_code == 415
    packed = client().post(INFER, content=body, headers={"content-encoding": "gzip"})
    assert packed.status_code == 415
