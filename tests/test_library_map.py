"""The map of a library: places, their names, and what is kept of them."""

import time
from pathlib import Path

import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from retrieval.api.library import library_routes
from retrieval.encoders import ReactionModel
from retrieval.library import Catalog, Record
from retrieval.paths import STARTER
from retrieval.web.library_map import (
    project,
    read_places,
    sample,
    start_between,
    write_places,
)
from retrieval.web.map_clusters import SAME_NAME_APART, find_clusters, typical_words
from retrieval.web.settings import current_settings
from retrieval.web.translations import translate


def blobs(n: int, centres: list[tuple[float, float]]) -> tuple[np.ndarray, np.ndarray]:
    """n places about each centre, and the number of each one's centre."""
    rng = np.random.default_rng(0)
    places = [np.array(centre) + rng.normal(0, 0.01, (n, 2)) for centre in centres]
    return np.concatenate(places).astype(np.float32), np.repeat(np.arange(len(centres)), n)


def catalog_of(titles: list[str]) -> Catalog:
    return Catalog(Record(f"{i:064x}", f"{i}.gif", title) for i, title in enumerate(titles))


def kinds_of(reactions: list[str]) -> np.ndarray:
    categories = list(ReactionModel.load().categories)
    kinds = np.full((len(reactions), len(categories)), 0.01, np.float32)
    kinds[np.arange(len(reactions)), [categories.index(name) for name in reactions]] = 0.5
    return kinds


def test_clusters_are_named_by_the_reaction_they_express_most():
    places, of = blobs(20, [(0.1, 0.1), (0.9, 0.1), (0.5, 0.9)])
    kinds = kinds_of([("applause", "hug", "shrug")[i] for i in of])
    clusters, cluster_of = find_clusters(places, np.arange(60), catalog_of(["x"] * 60), kinds)
    named = [clusters[i].reaction for i in cluster_of]
    assert named == [("applause", "hug", "shrug")[i] for i in of]


def test_near_clusters_of_one_name_are_one_cluster():
    places, of = blobs(20, [(0.1, 0.1), (0.2, 0.1), (0.9, 0.9)])
    kinds = kinds_of([("hug", "hug", "hug")[i] for i in of[:40]] + ["shrug"] * 20)
    clusters, _ = find_clusters(places, np.arange(60), catalog_of(["x"] * 60), kinds)
    for a in clusters:
        for b in clusters:
            apart = np.hypot(a.x - b.x, a.y - b.y)
            assert a is b or a.name != b.name or apart >= SAME_NAME_APART
    assert {(c.reaction, c.n_gifs) for c in clusters} == {("hug", 40), ("shrug", 20)}


def test_library_without_reactions_is_named_by_typical_words():
    words = [{"cat", "happy"}] * 5 + [{"dog", "happy"}] * 5 + [{"tea"}]
    labels = np.array([0] * 5 + [1] * 5 + [2])
    assert typical_words(labels, words, 3) == ["cat", "dog", ""]  # one GIF is no type


def test_few_gifs_have_no_clusters():
    clusters, cluster_of = find_clusters(
        np.zeros((3, 2)), np.arange(3), catalog_of(["x"] * 3), None
    )
    assert clusters == [] and cluster_of.tolist() == [-1, -1, -1]


def test_sample_has_no_look_alikes():
    records = [Record(f"{i:064x}", "", "", group=0 if i < 50 else -1) for i in range(100)]
    gifs = sample(Catalog(records), 40)
    assert len(set(gifs.tolist())) == 40
    assert len([gif for gif in gifs.tolist() if gif < 50]) <= 1


def test_later_points_join_the_first_ones_where_they_belong():
    rng = np.random.default_rng(0)
    centres = np.linalg.qr(rng.normal(size=(16, 16)))[0][:4]
    of = np.arange(120) % 4
    vectors = centres[of] + rng.normal(0, 0.05, (120, 16))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    first = project(vectors[:60])
    places = project(vectors, start_between(vectors, first))
    apart = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    assert (of[apart.argmin(axis=1)] == of).mean() > 0.95


def test_places_are_kept_and_those_of_another_library_are_not_taken(tmp_path: Path):
    file = tmp_path / "maps" / f"{1:016x}.json"
    places = np.array([[0.5, 1.0], [2.0, -3.25]], np.float32)
    write_places(file, places)
    kept = read_places(file, 2)
    assert kept is not None and np.array_equal(kept, places)
    assert read_places(file, 3) is None
    file.write_text('{"version": 1, "places": [["a", 2], [1, NaN]]}')
    assert read_places(file, 2) is None
    file.write_text("{}")
    assert read_places(file, 2) is None
    assert read_places(tmp_path / "none.json", 2) is None


def test_map_of_the_starter_library_names_reactions_in_the_visitors_language(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("REACTION_INDEX", str(STARTER))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    current_settings.cache_clear()
    client = TestClient(Starlette(routes=library_routes()))
    until = time.monotonic() + 60
    while (response := client.get("/api/v1/map?lang=ko")).status_code in (202, 503):
        assert response.status_code == 202 or response.json()["code"] == "loading"
        assert time.monotonic() < until
        time.sleep(0.2)
    answer = response.json()
    assert answer["final"] and answer["gifs"] == 267
    assert len(answer["points"]) == answer["mapped"] == 265  # two pairs look alike
    assert all(0 <= point[axis] <= 1 for point in answer["points"] for axis in "xy")
    for cluster in answer["clusters"]:
        assert cluster["name"] == translate("ko", f"reaction_{cluster['reaction']}")
    hearts = {p["cluster"] for p in answer["points"] if p["title"].endswith("heart")}
    assert "hearts" in {answer["clusters"][i]["reaction"] for i in hearts}
    assert list((tmp_path / "clip-reaction-search" / "maps").iterdir())
