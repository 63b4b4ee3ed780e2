"""Spec strings: what they spell, how they are written back, and what people are told about those that spell nothing."""

from __future__ import annotations

import pytest

from shadowdiff.errors import SpecError
from shadowdiff.rerankers.spec import Options, Spec, parse, refuse_target


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("served", Spec("served")),
        ("onnx:models/v3", Spec("onnx", "models/v3")),
        ("bedrock:cohere.rerank-v3-5:0", Spec("bedrock", "cohere.rerank-v3-5:0")),
        ("tei:http://host:80", Spec("tei", "http://host:80")),
        ("rrf:cosine+bm25,k=10", Spec("rrf", "cosine+bm25", (("k", "10"),))),
        ("onnx:a,b=c=d", Spec("onnx", "a", (("b", "c=d"),))),
        ("onnx:a%2Cb%25", Spec("onnx", "a,b%")),
        ("onnx:100%zz", Spec("onnx", "100%zz")),
        (" onnx : a , threads = 2 ", Spec("onnx", "a", (("threads", "2"),))),
        ("onnx:", Spec("onnx")),
        ("st:x,revision=", Spec("st", "x", (("revision", ""),))),
    ],
)
def test_parses(text: str, spec: Spec) -> None:
    """The first colon ends the scheme, commas separate options, the first equals sign ends a key."""
    assert parse(text) == spec


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        (Spec("onnx", "a", (("threads", "2"), ("input", "body"))), "onnx:a,input=body,threads=2"),
        (Spec("onnx", " a,b% "), "onnx:%20a%2Cb%25%20"),
        (Spec("onnx", "a\nb\x1b[2J"), "onnx:a%0Ab%1B[2J"),
        (Spec("onnx", "ümlaut 日本"), "onnx:ümlaut 日本"),
        (Spec("onnx", "\ud800"), "onnx:%ED%A0%80"),
    ],
)
def test_canonical_form(spec: Spec, text: str) -> None:
    """Options are sorted; only what a spec string cannot hold is percent-encoded."""
    assert str(spec) == text
    assert parse(text) == spec


def test_order_of_options_is_no_difference() -> None:
    """Specs with the same options are equal and hash alike, however they were written."""
    one, other = parse("onnx:a,threads=2,input=body"), parse("onnx:a,input=body,threads=2")
    assert one == other
    assert len({one, other}) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("onnx:a,models", "'models' after a comma in 'onnx:a,models' is not key=value; write a comma .* as %2C"),
        ("onnx:a,", "'' after a comma in 'onnx:a,' is not key=value"),
        ("Onnx:a", "'Onnx' is no scheme"),
        ("", "'' is no scheme"),
        ("models/v3", "'models/v3' is no scheme: .* as in 'onnx:models/v3'"),
        (":a", "'' is no scheme"),
        ("onnx:a,k=1,k=2", "option 'k' stands twice"),
        ("onnx:a,K=1", "'K' is no option name"),
        ("onnx:a,=1", "'' is no option name"),
        ("onnx:%FF", "'%FF'"),
    ],
)
def test_refuses(text: str, message: str) -> None:
    """A string that is no spec is refused with what is wrong, in one line."""
    with pytest.raises(SpecError, match=message) as refused:
        parse(text)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("key", ["api_key", "key", "token", "password", "secret", "access_token", "client_secret"])
def test_secrets_are_refused_and_not_repeated(key: str) -> None:
    """A secret in a spec is refused with the reason and what to use instead; its value is never printed."""
    with pytest.raises(SpecError, match=f"option '{key}': secrets never stand in a spec.*; use the environment") as no:
        parse(f"cohere:rerank,{key}=hunter2")
    assert "hunter2" not in str(no.value)


def test_passwords_in_urls_are_refused_and_not_repeated() -> None:
    """A URL with a password is as much a secret as an option."""
    with pytest.raises(SpecError, match="holds a password") as no:
        parse("tei:http://me:hunter2@host:80")
    assert "hunter2" not in str(no.value)


def test_options_by_type() -> None:
    """Options are read as text, choice and whole number, each with a default."""
    options = Options(parse("onnx:a,input=body,threads=4"))
    assert options.text("revision", "main") == "main"
    assert options.choice("input", ("title+body", "body"), "title+body") == "body"
    assert options.choice("dtype", ("float32", "float16"), "float32") == "float32"
    assert options.integer("threads", 1) == 4
    assert options.integer("batch", 8) == 8
    options.finish()


@pytest.mark.parametrize("written", ["0", "-1", "1.5", "", "many", "٣", "1_000", "1" * 40])
def test_whole_numbers_only(written: str) -> None:
    """What is no whole number, or below the minimum, is refused with the minimum."""
    options = Options(Spec("onnx", "a", (("threads", written),)))
    with pytest.raises(SpecError, match="threads=.* in 'onnx:a,.*must be a whole number of at least 1"):
        options.integer("threads", 2)


def test_choices_are_named() -> None:
    """A value that is none of the choices is refused with the choices."""
    options = Options(parse("onnx:a,input=title"))
    with pytest.raises(SpecError, match=r"input=title in 'onnx:a,input=title': must be one of title\+body, body"):
        options.choice("input", ("title+body", "body"), "title+body")


def test_unknown_options_are_refused_with_the_known() -> None:
    """An option that no one reads is a misspelling, and the known ones are named."""
    options = Options(parse("onnx:a,thread=4"))
    options.integer("threads", 1)
    options.text("input")
    with pytest.raises(SpecError, match="unknown option 'thread' in 'onnx:a,thread=4'; onnx knows: input, threads"):
        options.finish()


def test_kinds_without_options_say_so() -> None:
    """Where there are no options to know, that is said."""
    with pytest.raises(SpecError, match="unknown option 'k' in 'served,k=1'; served knows: none"):
        Options(parse("served,k=1")).finish()


def test_kinds_without_target_refuse_one() -> None:
    """A target that a kind would ignore is refused."""
    with pytest.raises(SpecError, match="'cosine:x': cosine takes nothing after the colon"):
        refuse_target(parse("cosine:x"))
    refuse_target(parse("cosine"))
