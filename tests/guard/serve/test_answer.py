"""`/answer`: every kind of body, reasons, neighbors, and bad items that spoil only themselves."""

import base64
import io
import json

import numpy as np
import pytest
import torch
from PIL import Image

JSON = {"content-type": "application/json"}


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def send(ask, body, kind, **query):
    return ask.post("/answer", content=body, headers={"content-type": kind}, params=query)


def answers(response):
    assert response.status_code == 200, response.text
    return response.json()["answers"]


def test_every_body_says_the_same(client, guard, digits):
    ask = client()
    bytes_ = digits[0][-1, 0].mul(255).round().byte().numpy()
    image = torch.from_numpy(bytes_).float().div(255)[None]
    file = io.BytesIO()
    Image.fromarray(bytes_).save(file, "PNG")
    said = [
        answers(ask.post("/answer", json={"inputs": [image.tolist()]})),
        answers(send(ask, npy(image.numpy()), "application/x-npy")),
        answers(send(ask, npy(image[None].double().numpy()), "application/x-npy")),
        answers(send(ask, npy(bytes_), "application/x-npy; charset=binary")),
        answers(send(ask, file.getvalue(), "image/png")),
    ]
    assert all(one == said[0] for one in said)
    (direct,) = guard.answer(image[None])
    (only,) = said[0]
    assert only["prediction"] == direct.prediction and only["label"] == f"digit {direct.prediction}"
    assert only["p_value"] == pytest.approx(direct.p_value, abs=1e-5)
    assert (only["reason"], only["detail"]) == (direct.reason, direct.detail)
    assert [near["row"] for near in only["neighbors"]] == [near.row for near in direct.neighbors]
    assert only["model_version"] == guard.facts.model_version


def test_neighbors_come_with_their_pictures(client, digits):
    images, labels = digits
    ask = client()
    body = npy(images[7:8].numpy())
    (said,) = answers(send(ask, body, "application/x-npy"))
    nearest = said["neighbors"][0]
    assert nearest["row"] == 7 and nearest["target"] == int(labels[7])
    head, _, data = nearest["picture"].partition(",")
    assert head == "data:image/png;base64"
    shown = np.array(Image.open(io.BytesIO(base64.b64decode(data))))
    assert np.array_equal(shown, images[7, 0].mul(255).round().byte().numpy())
    (said,) = answers(send(ask, body, "application/x-npy", pictures="false"))
    assert {near["picture"] for near in said["neighbors"]} == {None}


def test_a_bad_item_spoils_only_itself(client, fresh, poison):
    """Of another shape, of text, beyond the domain, not finite, and one the network raises on."""
    good = fresh[:3].tolist()
    far, nan = fresh[4].tolist(), fresh[5].tolist()
    far[0][0][0], nan[0][2][3] = 9.0, float("nan")
    rows = [good[0], [1, 2], good[1], "secret", far, poison.tolist(), nan, good[2]]
    ask = client()
    said = answers(ask.post("/answer", content=json.dumps({"inputs": rows}), headers=JSON))
    reasons = [one["reason"] for one in said]
    alone = [answers(ask.post("/answer", json={"inputs": [one]}))[0] for one in good]
    for place, one in zip((0, 2, 7), alone, strict=True):
        assert said[place]["prediction"] == one["prediction"]
        assert said[place]["p_value"] == pytest.approx(one["p_value"], abs=1e-5)
    assert [reasons[place] for place in (1, 3, 4, 5, 6)] == ["contract"] * 5
    assert all(said[place]["prediction"] is None for place in (1, 3, 4, 5, 6))
    assert "[1, 8, 8]" in said[1]["detail"] and "RuntimeError" in said[5]["detail"]
    assert "[0, 2, 3]" in said[6]["detail"]
    assert "secret" not in str(said)
    assert "offmap_guard_failures_total 1.0" in ask.get("/metrics").text


def test_strangers_are_refused_with_a_reason(client):
    gray = np.full((3, 1, 8, 8), 0.5, np.float32)
    for one in answers(send(client(), npy(gray), "application/x-npy")):
        assert not one["accepted"] and one["reason"] == "off_map" and one["p_value"] <= 0.05
        assert "energy" in one["detail"] and len(one["neighbors"]) == 5


@pytest.mark.parametrize(
    ("body", "kind", "status", "word"),
    [
        (b"{}", "application/json", 400, "inputs"),
        (b'{"inputs": []}', "application/json", 400, "inputs"),
        (b'{"inputs": {"secret": 1}}', "application/json", 400, "inputs"),
        (b"secret", "application/json", 400, "JSON"),
        (b"[" * 100_000, "application/json", 400, "JSON"),
        (npy(np.zeros((0, 1, 8, 8), np.float32)), "application/x-npy", 400, "1 to 1024"),
        (npy(np.zeros((1025, 1, 8, 8), np.uint8)), "application/x-npy", 400, "1 to 1024"),
        (npy(np.zeros(())), "application/x-npy", 400, "shape"),
        (npy(np.zeros((3, 3))), "application/x-npy", 400, "shape"),
        (b"secret", "application/x-npy", 400, "npy"),
        (b"secret", "image/png", 400, "PNG"),
        (b"secret", "image/jpeg", 400, "JPEG"),
        (b"secret", "text/plain", 415, "application/x-npy"),
        (b"secret", "", 415, "application/x-npy"),
    ],
)
def test_refusals_are_one_sentence_that_quotes_nothing(client, body, kind, status, word):
    response = send(client(), body, kind)
    assert response.status_code == status
    (sentence,) = response.json().values()
    assert word in sentence and "secret" not in sentence and "Traceback" not in sentence


def test_parameters_are_checked(client):
    response = client().post("/answer?counted=perhaps", json={"inputs": [[1]]})
    assert response.status_code == 422
    assert response.json() == {"error": response.json()["error"]}
    assert "perhaps" not in response.text


def test_the_facts_of_the_guard(client, guard):
    told = client(name="digits", drift="warn").get("/guard").json()
    assert told["name"] == "digits" and told["drift"] == "warn" and told["alpha"] == 0.05
    assert told["domain"] == {
        "shape": [1, 8, 8], "dtype": "float32", "low": 0.0, "high": 1.0, "kind": "image",
    }  # fmt: skip
    assert told["promise"]["value"] == guard.promise.value
    assert told["scores"] == ["energy"] and told["class_names"][3] == "digit 3"
