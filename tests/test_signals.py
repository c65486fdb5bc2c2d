"""Search by words in the picture, names and reactions, beside the frames."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from retrieval.build.build import build_index
from retrieval.encoders import load_encoder, sentence_encoder
from retrieval.errors import BundleError, QueryError
from retrieval.library import SIGNALS, Bundle, Record, manifest_at
from retrieval.media import PictureText
from retrieval.search import Filter, Message, Searcher, Term
from retrieval.signals import Measured, Reactions, likeness, name_of, signal_weights, split_name
from retrieval.signals.phrases import Phrases, write_phrases
from retrieval.signals.text_vectors import TextVectors, write_text_vectors
from tests.support.manifests import edit_manifest

NAMES = ("standing-ovation", "crying-puppy", "eye-roll", "0001", "IMG_1234", "tacos2")


@pytest.fixture(scope="module")
def mini():
    return load_encoder("mini", runtime="exported")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, mini) -> Path:
    """A bundle of six plain pictures: three with telling names, one with words in it."""
    folder = tmp_path_factory.mktemp("signals")
    source = folder / "source"
    source.mkdir()
    for number, name in enumerate(NAMES):
        picture = Image.new("RGB", (320, 120), (30 * number, 90, 200 - 20 * number))
        if name == "0001":
            font = ImageFont.load_default(size=26)
            ImageDraw.Draw(picture).text((12, 40), "NOBODY GOT TIME", fill="white", font=font)
        picture.save(source / f"{name}.png")
    build_index(source, folder / "bundle", mini, signals=SIGNALS)
    return folder / "bundle"


@pytest.fixture(scope="module")
def searcher(built: Path, mini) -> Searcher:
    return Searcher(Bundle.open(built), mini)


def titles(results) -> list[str]:
    return [Path(result.record.places[0]).stem for result in results]


def test_message_finds_the_gif_whose_name_answers_it(searcher):
    assert titles(searcher.ask("bravo, that was an amazing performance!", top_k=1)) == [
        "standing-ovation"
    ]


def test_message_finds_the_words_in_a_picture_without_a_name(searcher):
    result = searcher.ask("ain't nobody got time for that", top_k=1)[0]
    assert titles([result]) == ["0001"]
    assert result.words and result.words.text == "NOBODY GOT TIME"
    assert result.words.frame == 0 and result.words.box[0] < 0.2


def test_result_says_what_each_signal_contributed(searcher):
    result = searcher.ask("bravo, that was an amazing performance!", top_k=1)[0]
    assert set(result.signals) == {"frames", "names", "reaction"}  # it has no words
    assert 0 < result.score < 1
    assert "applause" in result.reactions


def test_single_signal_ranks_alone(searcher):
    assert titles(searcher.ask("nobody got time", top_k=1, signals=["words"])) == ["0001"]
    alone = searcher.ask("nobody got time", top_k=6, signals=["frames"])
    cosines = searcher.search(searcher.embed([Term("nobody got time")]), 6)
    assert titles(alone) == titles(cosines)
    with pytest.raises(QueryError, match="wrods"):
        searcher.ask("hello", signals=["wrods"])


def test_every_fusion_ranks_all_gifs_and_an_unknown_one_is_refused(searcher):
    for fusion in ("sum", "rrf", "learned"):
        assert sorted(titles(searcher.ask("hello", top_k=6, fusion=fusion))) == sorted(NAMES)
    with pytest.raises(QueryError, match="sum, rrf, learned"):
        searcher.ask("hello", fusion="best")


def test_quoted_words_must_be_in_the_picture_or_the_name(searcher):
    assert titles(searcher.ask('I have "nobody got" today')) == ["0001"]
    assert titles(searcher.ask('so sad "crying puppy"')) == ["crying-puppy"]
    assert searcher.ask('"no such words"') == []


def test_excluded_words_are_not_in_the_results(searcher):
    assert "0001" not in titles(searcher.ask("nobody got time -nobody", top_k=6))
    assert "eye-roll" not in titles(searcher.ask("whatever -roll", top_k=6))
    with pytest.raises(QueryError, match="-cat"):
        searcher.ask("-cat")


def test_filter_and_operators_hold_together(searcher):
    assert searcher.ask('"eye roll" ugh', keep=Filter(animated_only=True)) == []


def test_hyphens_and_apostrophes_in_a_message_are_no_operators():
    message = Message.parse("re-do it - it's well-known :-)")
    assert message == Message("re-do it - it's well-known :-)")


def test_bundle_without_signals_is_searched_by_frames(built, mini, tmp_path):
    build_index(built.parent / "source", tmp_path / "frames", mini, signals=["frames"])
    searcher = Searcher(Bundle.open(tmp_path / "frames"), mini)
    assert searcher.signals == ("frames",)
    assert not searcher.ask("bravo", top_k=1)[0].signals
    assert titles(searcher.ask('bravo "eye roll"')) == ["eye-roll"]


def test_signals_of_another_model_are_not_used(built, mini, tmp_path):
    shutil.copytree(built, tmp_path / "bundle")
    facts = {**manifest_at(built).signal_facts, "version": "1-of-another-model"}
    edit_manifest(tmp_path / "bundle", signal_facts=facts)
    assert Searcher(Bundle.open(tmp_path / "bundle"), mini).signals == ("frames",)


def test_damaged_signals_name_the_command_that_repairs_them(built, mini, tmp_path):
    shutil.copytree(built, tmp_path / "bundle")
    file = tmp_path / "bundle" / "signals" / "statistics.npz"
    file.write_bytes(b"?" * file.stat().st_size)
    with pytest.raises(BundleError, match="reaction-search build"):
        Searcher(Bundle.open(tmp_path / "bundle"), mini)


def test_rebuild_of_unchanged_gifs_embeds_no_text_again(built, mini, tmp_path):
    shutil.copytree(built.parent / "source", tmp_path / "source")
    build_index(tmp_path / "source", tmp_path / "bundle", mini, signals=SIGNALS)
    first = manifest_at(tmp_path / "bundle")

    class Refusing:
        def __getattr__(self, name):
            return getattr(mini, name)

        def encode_text(self, texts):
            raise AssertionError("embedded again")

    build_index(tmp_path / "source", tmp_path / "bundle", Refusing(), signals=SIGNALS)
    assert manifest_at(tmp_path / "bundle").signal_facts == first.signal_facts


def test_name_is_made_of_title_file_name_and_tags():
    record = Record("1", "x", "Happy dance", ("party", "dance"), places=("memes/YesYes_02.gif",))
    assert name_of(record) == "happy dance, yes yes: party"
    assert name_of(Record("1", "x", "giphy", places=("giphy.gif",))) == ""


@pytest.mark.parametrize("name", ["tenor.gif", "3f2a9c81b7d64e05.gif", "Screenshot 12.png"])
def test_file_names_without_meaning_are_dropped(name):
    assert split_name(name) == ""


def test_phrases_are_found_without_apostrophes_and_by_rare_words(tmp_path):
    write_phrases(tmp_path, [(0, "aint nobody", ""), (1, "", "It's a trap!"), (2, "café", "")])
    phrases = Phrases(tmp_path / "texts.sqlite", 3)
    assert phrases.containing("ain't nobody").tolist() == [0]
    assert phrases.containing("its a trap").tolist() == [1]
    assert phrases.containing("cafe").tolist() == [2]
    assert phrases.candidates('trap OR "DROP', 5).tolist() == [1]
    assert phrases.containing("?!").tolist() == []


def test_likeness_survives_lost_spaces_and_signs():
    same, other = likeness("Nobody got time!", ["NOBODYGOT TIME", "so much time"])
    assert same == 1.0 and other < 0.4


def test_full_text_index_answers_as_before_when_another_build_took_its_place(tmp_path):
    (tmp_path / "new").mkdir()
    write_phrases(tmp_path, [(0, "old cat", ""), (1, "dog", "")])
    write_phrases(tmp_path / "new", [(0, "dog", ""), (1, "new cat", "")])
    phrases = Phrases(tmp_path / "texts.sqlite", 2)
    assert phrases.containing("cat").tolist() == [0]
    (tmp_path / "new" / "texts.sqlite").replace(tmp_path / "texts.sqlite")
    with phrases._open(), phrases._open():  # so that a new connection is needed
        assert phrases.containing("cat").tolist() == [0]
    assert Phrases(tmp_path / "texts.sqlite", 2).containing("cat").tolist() == [1]


def test_text_scores_are_the_best_of_a_gifs_texts_in_standard_deviations(tmp_path):
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((60, 384)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    gifs = np.sort(rng.integers(0, 30, 60))
    statistics = write_text_vectors(tmp_path, "words", gifs, rows)
    texts = TextVectors.open(tmp_path, "words", statistics, 31)
    assert texts is not None
    query = rows[7]
    scores, best = texts.scores(query, np.arange(31))
    exact = rows.astype(np.float16).astype(np.float32) @ query
    own = [exact[gifs == gif].max() if (gifs == gif).any() else np.nan for gif in range(31)]
    expected = (np.array(own) - exact.mean()) / exact.std()
    np.testing.assert_allclose(scores, expected, atol=1e-3)
    assert best[gifs[7]] == 7 and np.isnan(scores[30]) and best[30] == -1


def test_frames_count_as_much_as_they_find_gifs_by_their_own_names():
    blind = Measured(frames_by_name=0.01, chance=0.01, n_texts=100)
    seeing = Measured(frames_by_name=0.8, chance=0.01, n_texts=100)
    assert blind.sight == 0 and seeing.sight > 0.9
    assert signal_weights(blind)["frames"] < 0.3 < signal_weights(seeing)["frames"]
    assert "does not understand these pictures; use --model" in blind.sentence("mini")
    assert "does not" not in seeing.sentence("mini")
    assert Measured().sight == 1 and Measured().sentence("mini") == ""


def test_reactions_of_messages_and_texts(mini):
    reactions = Reactions.load()
    rows = sentence_encoder(mini).encode_sentences(["thank you so much for your help!"])
    called_for = reactions.called_for(rows)[0]
    assert called_for.sum() == pytest.approx(1, abs=1e-4)
    kinds = reactions.kinds_of_texts(sentence_encoder(mini).encode_sentences(["rolling eyes"]))
    assert reactions.categories[int(kinds[0].argmax())] == "eye_roll"


def test_text_in_the_picture_is_kept_in_the_catalogue(built):
    record = next(r for r in Bundle.open(built).records if r.places[0] == "0001.png")
    (text,) = record.texts
    assert isinstance(text, PictureText) and text.confidence > 0.6
