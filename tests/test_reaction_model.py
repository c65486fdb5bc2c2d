"""The reaction model: its training on a small sample, and the file that is shipped."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from retrieval.encoders import CHECKPOINTS, Checkpoint
from retrieval.encoders.openvino import ExportedEncoder
from retrieval.encoders.reaction_model import (
    REACTIONS,
    ReactionModel,
    ReactionText,
    load_reaction_texts,
)
from retrieval.encoders.weights import load_folder
from retrieval.errors import CheckpointError, SourceError
from retrieval.evaluation.data import Message, load_messages, load_reactions
from retrieval.training import answer_maps, reactions
from retrieval.training.reactions import Answers, ReactionCorpus

MINI = CHECKPOINTS / "mini"
WORDS = ("hello", "bye", "party", "sad", "wave", "dance", "tears", "wow", "no")


def bag_of_words(texts: list[str]) -> np.ndarray:
    """Unit vectors that count WORDS; the last dimension keeps a text without any from zero."""
    rows = [[*(text.split().count(word) for word in WORDS), 0.1] for text in texts]
    vectors = np.array(rows, np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture
def corpus() -> ReactionCorpus:
    messages = [
        Message("party now", "happy"), Message("party at ours", "happy"),
        Message("so sad", "unhappy"), Message("sad news", "unhappy"), Message("stop no", "refusal"),
    ]  # fmt: skip
    return ReactionCorpus(
        ("happy", "refusal", "unhappy"),
        train=messages,
        dev=messages,
        test=messages,
        by_emoji=[Message("hello", emoji=("👋",)), Message("bye", emoji=("👋",))],
        texts=[
            ReactionText("name", "dance", ("happy",)), ReactionText("looks", "tears", ("unhappy",)),
            ReactionText("says", "no", ("refusal",)),
        ],
        answers=[Answers("party now", ("wow", "dance dance")), Answers("so sad", ("no",))],
        emoji=[("wave", "wave: hello", "1f44b")],
    )  # fmt: skip


SHORT = answer_maps.Settings(steps=30, batch_size=4, learning_rate=0.02, pull=1e-3)


def trained(folder: Path, corpus: ReactionCorpus, settings=SHORT) -> ReactionModel:
    folder.mkdir()
    (folder / reactions.TEXT_TOWER).write_bytes(b"tower")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # matrices of ten rows: threads would only wait for one another
    try:
        reactions.train_reactions(folder, bag_of_words, corpus, lambda said: None, settings)
    finally:
        torch.set_num_threads(threads)
    return ReactionModel.load(folder)


def test_training_writes_the_same_file_for_a_seed_and_another_for_another(
    tmp_path: Path, corpus: ReactionCorpus
):
    model = trained(tmp_path / "a", corpus)
    trained(tmp_path / "b", corpus)
    trained(tmp_path / "c", corpus, replace(SHORT, seed=1))
    first, again, other = ((tmp_path / run / REACTIONS).read_bytes() for run in "abc")
    assert first == again != other
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == [REACTIONS, reactions.TEXT_TOWER]
    assert model.text_tower == hashlib.sha256(b"tower").hexdigest()


def test_trained_model_knows_the_category_and_brings_answers_near(
    tmp_path: Path, corpus: ReactionCorpus
):
    model = trained(tmp_path / "a", corpus)
    asked = bag_of_words(["a party", "how sad"])
    likely = model.distribution(asked)
    np.testing.assert_allclose(likely.sum(axis=1), 1, atol=1e-6)
    assert likely.argmax(axis=1).tolist() == [0, 2]
    names = bag_of_words(["dance", "tears"])
    before, after = asked @ names.T, model.map_messages(asked) @ model.map_texts(names).T
    assert after[0, 0] > before[0, 0] + 0.1 and after[0, 0] > after[0, 1] + 0.1
    assert after[1, 1] > before[1, 1] + 0.1 and after[1, 1] > after[1, 0] + 0.1


def test_digest_changes_with_what_is_trained_on_and_not_with_the_test(corpus: ReactionCorpus):
    assert replace(corpus, test=[]).digest() == corpus.digest()
    assert replace(corpus, dev=[]).digest() != corpus.digest()


def test_a_file_that_is_no_reaction_model_is_rejected(tmp_path: Path):
    with pytest.raises(CheckpointError, match="is no reaction model"):
        ReactionModel.load(tmp_path)
    (tmp_path / REACTIONS).write_bytes(b"{}")
    with pytest.raises(CheckpointError, match="train --reactions --out"):
        ReactionModel.load(tmp_path)


def test_checkpoint_loads_with_the_reaction_model_beside_its_weights(tmp_path: Path):
    for file in MINI.iterdir():
        (tmp_path / file.name).symlink_to(file)
    assert (tmp_path / REACTIONS).is_file()
    load_folder(tmp_path)  # strict: any other weight would be an error


def test_shipped_model_has_the_categories_and_shapes_of_the_data():
    model, texts = ReactionModel.load(), load_reaction_texts()
    assert model.categories == tuple(sorted(load_reactions()))
    assert (model.head_weight.shape, model.head_bias.shape) == ((43, 384), (43,))
    assert model.message_map.shape == model.text_map.shape == (384, 384)
    assert model.exemplars.shape == (len(texts), 384)
    np.testing.assert_allclose(np.linalg.norm(model.exemplars, axis=1), 1, atol=1e-3)
    main = [model.categories[i] for i in model.exemplar_categories]
    assert main == [text.categories[0] for text in texts]
    assert (MINI / REACTIONS).stat().st_size < 16_000_000


def test_shipped_model_was_made_of_this_text_tower_and_this_data():
    tower = (MINI / reactions.TEXT_TOWER).read_bytes()
    assert ReactionModel.load().text_tower == hashlib.sha256(tower).hexdigest()
    with safe_open(MINI / REACTIONS, "np") as stored:
        facts = json.loads(stored.metadata()["reaction_model"])
    assert facts["data"] == ReactionCorpus.load().digest()


def test_shipped_head_recognises_the_category_of_held_out_messages():
    model, messages = ReactionModel.load(), load_messages("test")
    checkpoint = Checkpoint.parse("mini")
    encoder = ExportedEncoder(checkpoint.export_folder("float32"), checkpoint)
    likely = model.distribution(encoder.encode_sentences([m.text for m in messages]))
    guessed = [model.categories[i] for i in likely.argmax(axis=1)]
    right = np.mean([m.category == g for m, g in zip(messages, guessed, strict=True)])
    assert right >= 0.65
    # Calibrated: the model is as sure as it is right.
    assert likely.max(axis=1).mean() == pytest.approx(right, abs=0.06)


def test_every_category_has_texts_of_every_kind_and_none_of_another_category():
    categories = set(load_reactions())
    for kind in ("looks", "says", "name"):
        texts = load_reaction_texts(kind)
        assert {text.categories[0] for text in texts} == categories
        assert {c for text in texts for c in text.categories} == categories


def test_held_out_messages_have_no_copy_among_the_answers():
    held_out = {m.text.casefold() for part in ("dev", "test") for m in load_messages(part)}
    answers = [a for hand in reactions.ANSWER_HANDS for a in reactions.load_answers(hand)]
    assert len({a.message for a in answers}) == len(answers)
    assert not held_out & {a.message.casefold() for a in answers}


def test_missing_reaction_texts_are_reported_with_the_command_that_fixes_it(tmp_path: Path):
    with pytest.raises(SourceError, match="git checkout -- data/reaction_texts"):
        load_reaction_texts(folder=tmp_path)
    with pytest.raises(SourceError, match="git checkout -- data/reaction_texts"):
        reactions.load_answers("a", tmp_path)
