"""Spec strings: what they mean, their canonical form, and what is refused."""

from __future__ import annotations

import pytest

from shadowdiff.errors import SpecError
from shadowdiff.rerankers.spec import Options, Spec, parse, refuse_target


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("served", Spec("served")),
        ("onnx:models/v3", Spec("onnx", "models/v3")),
        ("onnx:models/v3,max_length=256", Spec("onnx", "models/v3", (("max_length", "256"),))),
        ("onnx:a,threads=2,input=body", Spec("onnx", "a", (("input", "body"), ("threads", "2")))),
        ("bedrock:cohere.rerank-v3-5:0", Spec("bedrock", "cohere.rerank-v3-5:0")),
        (
            "bedrock:arn:aws:bedrock:us-east-1::foundation-model/amazon.rerank-v1:0,profile=p",
            Spec("bedrock", "arn:aws:bedrock:us-east-1::foundation-model/amazon.rerank-v1:0", (("profile", "p"),)),
        ),
        ("tei:http://localhost:8080", Spec("tei", "http://localhost:8080")),
        ("tei:https://[::1]:8080/a%2Cb/", Spec("tei", "https://[::1]:8080/a,b/")),
        ("cohere:m,url=http://127.0.0.1:8080/v", Spec("cohere", "m", (("url", "http://127.0.0.1:8080/v"),))),
        ("rrf:cosine+bm25,k=30", Spec("rrf", "cosine+bm25", (("k", "30"),))),
        ("http:http://h/?a=b,model=x=y", Spec("http", "http://h/?a=b", (("model", "x=y"),))),
        ("onnx:a%2Cb%25", Spec("onnx", "a,b%")),
        ("  st : org/model , dtype = bfloat16 ", Spec("st", "org/model", (("dtype", "bfloat16"),))),
        ("onnx:", Spec("onnx")),
        ("onnx:a,input=", Spec("onnx", "a", (("input", ""),))),
    ],
)
def test_parse(text: str, spec: Spec) -> None:
    """The scheme ends at the first colon, options at commas, keys at their first '='."""
    assert parse(text) == spec


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        (Spec("cosine"), "cosine"),
        (Spec("onnx", "models/v3", (("threads", "2"), ("input", "body"))), "onnx:models/v3,input=body,threads=2"),
        (Spec("onnx", "a,b 100%"), "onnx:a%2Cb 100%25"),
        (Spec("onnx", " edge "), "onnx:%20edge%20"),
        (Spec("tei", "http://h:1/a,b/%7E?x=y"), "tei:http://h:1/a%2Cb/%257E?x=y"),
        (Spec("onnx", "line\nbreak\x1b"), "onnx:line%0Abreak%1B"),
        (Spec("onnx", "モデル"), "onnx:モデル"),
        (Spec("onnx", "a", (("input", "x=y,z"),)), "onnx:a,input=x=y%2Cz"),
    ],
)
def test_canonical_form(spec: Spec, text: str) -> None:
    """Options are sorted, and only what would be misread is encoded."""
    assert str(spec) == text
    assert parse(text) == spec


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is no scheme"),
        ("Onnx:a", "'Onnx' is no scheme: small letters"),
        ("./models/v3", "'./models/v3' is no scheme"),
        ("onnx:a,fast", "'fast' after a comma in 'onnx:a,fast' is not key=value; write a comma inside a path as %2C"),
        ("onnx:a,", "'' after a comma"),
        ("onnx:a,=1", "'' is no option name"),
        ("onnx:a,Max=1", "'Max' is no option name"),
        ("onnx:a,threads=1,threads=2", "option 'threads' stands twice"),
        ("cohere:m,api_key=abc", "secrets never stand in a spec"),
        ("cohere:m,token=abc", "use the environment"),
        ("tei:http://user:hunter2@host", "the URL of a 'tei' spec holds a password"),
        ("cohere:m,url=https://user:hunter2@host", "the URL of a 'cohere' spec holds a password"),
    ],
)
def test_refused(text: str, message: str) -> None:
    """What is wrong is said in words, and a secret is never repeated."""
    with pytest.raises(SpecError) as caught:
        parse(text)
    assert message in str(caught.value)
    assert "abc" not in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("key", ["batch_tokens", "max_length", "keys", "top_k"])
def test_not_every_key_is_a_secret(key: str) -> None:
    """Options that only sound like secrets are options."""
    assert parse(f"onnx:a,{key}=1").options == ((key, "1"),)


def test_specs_are_keys() -> None:
    """Equal specs are one key, in whatever order their options were given."""
    options = (("a", "1"), ("b", "2"))
    assert len({Spec("x", "y", options), Spec("x", "y", options[::-1]), parse("x:y,b=2,a=1")}) == 1


def test_options_read_by_type() -> None:
    """Given options are read, missing ones take their default."""
    options = Options(parse("x:y,n=12,form=body,name=z"))
    assert options.integer("n", 5) == 12
    assert options.integer("missing", 0, minimum=8) == 0
    assert options.choice("form", ("title", "body"), "title") == "body"
    assert options.choice("other", ("title", "body"), "title") == "title"
    assert options.text("name") == "z"
    assert options.flag("missing", default=True)
    assert not options.flag("missing", default=False)
    assert options.text("nothing", "default") == "default"
    options.finish()


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "many", "", "1e3", "٣", "99999999999"])
def test_integer_refuses(value: str) -> None:
    """Only whole numbers of at least the minimum are numbers."""
    spec = Spec("x", "y", (("n", value),))
    with pytest.raises(SpecError, match="must be a whole number of at least 1"):
        Options(spec).integer("n", 5)


def test_choice_refuses() -> None:
    """A value that is no choice is answered with the choices."""
    with pytest.raises(SpecError, match="form=head in 'x:y,form=head': must be one of title, body"):
        Options(parse("x:y,form=head")).choice("form", ("title", "body"), "title")


def test_flags_are_true_or_false() -> None:
    """In these words only."""
    assert not Options(parse("x:y,on=false")).flag("on", default=True)
    with pytest.raises(SpecError, match="on=1 in 'x:y,on=1': must be one of true, false"):
        Options(parse("x:y,on=1")).flag("on", default=True)


def test_finish_names_unknown_and_known_options() -> None:
    """An option that nobody reads is refused, beside those that exist."""
    options = Options(parse("onnx:a,max_len=1"))
    options.integer("max_length", 512)
    options.text("input")
    with pytest.raises(SpecError) as caught:
        options.finish()
    assert str(caught.value) == "unknown option 'max_len' in 'onnx:a,max_len=1'; onnx knows: input, max_length"


def test_finish_of_a_kind_without_options() -> None:
    """A kind that has no options says so."""
    with pytest.raises(SpecError, match="served knows: none"):
        Options(parse("served,fast=1")).finish()


def test_refuse_target() -> None:
    """A kind without target refuses one."""
    refuse_target(parse("served"))
    with pytest.raises(SpecError, match="'served:x': served takes nothing after the colon"):
        refuse_target(parse("served:x"))
