"""Kinds are found through entry points: built-ins, plugins, broken plugins, and two that want one name."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shadowdiff.errors import ConfigError, SpecError
from shadowdiff.rerankers.cosine import Cosine
from shadowdiff.rerankers.registry import GROUP, Installed, build, installed, resolve
from shadowdiff.rerankers.spec import Spec, parse
from shadowdiff.testing import KeywordReranker
from tests.conftest import ROOT

WORKING = """
from shadowdiff.testing import KeywordReranker

DESCRIPTION = "counts words"

def build(spec, context):
    return KeywordReranker(spec)
"""

Plugin = Callable[[str, str, str], None]


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plugin]:
    """Installs a distribution with one module that claims one scheme."""
    monkeypatch.syspath_prepend(tmp_path)
    modules: list[str] = []

    def install(name: str, scheme: str, source: str) -> None:
        (tmp_path / f"{name}.py").write_text(source)
        described = tmp_path / f"{name}-1.2.dist-info"
        described.mkdir()
        (described / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        (described / "entry_points.txt").write_text(f"[shadowdiff.rerankers]\n{scheme} = {name}:build\n")
        modules.append(name)

    yield install
    for module in modules:
        sys.modules.pop(module, None)


def listed(scheme: str) -> Installed:
    """What `shadowdiff rerankers` shows of a scheme."""
    return next(kind for kind in installed() if kind.scheme == scheme)


def test_built_ins_are_installed_like_plugins() -> None:
    """Every kind of the package is found, described in one line, and provided by shadowdiff."""
    ours = [kind for kind in installed() if kind.provider.startswith("shadowdiff ")]
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"][GROUP]
    assert [kind.scheme for kind in ours] == sorted(declared)
    assert {"bedrock", "cosine", "llm", "onnx", "served", "st"} <= declared.keys()
    assert all(kind.description and "\n" not in kind.description and kind.missing is None for kind in ours)


def test_a_plugin_is_built_by_its_scheme(plugin: Plugin) -> None:
    """A distribution that names an entry point is all it takes."""
    plugin("words_plugin", "words", WORKING)
    reranker = build(parse("words:x,k=1"))
    assert isinstance(reranker, KeywordReranker)
    assert reranker.spec == Spec("words", "x", (("k", "1"),))
    assert listed("words") == Installed("words", "counts words", "words_plugin 1.2")


def test_two_claims_to_one_scheme_are_refused_by_name(plugin: Plugin) -> None:
    """Neither of two distributions wins silently; both are named, and other schemes still work."""
    plugin("words_plugin", "words", WORKING)
    plugin("other_plugin", "words", WORKING)
    message = "other_plugin 1.2 and words_plugin 1.2 both claim the reranker 'words'; uninstall one of them"
    with pytest.raises(SpecError, match=f"^{message}$"):
        build(parse("words"))
    assert listed("words").missing == "uninstall one of them"
    assert isinstance(build(parse("cosine")), Cosine)


def test_a_plugin_cannot_take_a_built_in_s_place(plugin: Plugin) -> None:
    """A stranger's `cosine` is a conflict, not a replacement."""
    plugin("words_plugin", "cosine", WORKING)
    with pytest.raises(SpecError, match=r"shadowdiff \S+ and words_plugin 1\.2 both claim the reranker 'cosine'"):
        build(parse("cosine"))


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import no_such_package", "No module named 'no_such_package'"),
        ("raise OSError('disk\\non fire')", "OSError: disk$"),
        ("DESCRIPTION = 'has no builder'", "has no attribute 'build'"),
    ],
)
def test_a_broken_plugin_breaks_its_own_scheme_only(plugin: Plugin, source: str, reason: str) -> None:
    """What it raised is told in one line with its distribution; the other kinds are listed and built."""
    plugin("broken_plugin", "broken", source)
    with pytest.raises(ConfigError, match=rf"'broken' of broken_plugin 1\.2 cannot be imported: .*{reason}") as refused:
        build(parse("broken"))
    assert "\n" not in str(refused.value)
    assert "broken" in {kind.scheme for kind in installed()}
    assert isinstance(build(parse("cosine")), Cosine)


def test_a_plugin_that_cannot_be_built_is_told_in_one_line(plugin: Plugin) -> None:
    """Whatever a builder raises, the user reads one line with spec, distribution and reason."""
    plugin("broken_plugin", "broken", "def build(spec, context):\n    raise KeyError('weights')\n")
    with pytest.raises(ConfigError, match=r"^'broken:x' of broken_plugin 1\.2 cannot be built: KeyError: 'weights'$"):
        build(parse("broken:x"))


def test_a_missing_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without sentence-transformers, `st` is still listed, with the command that adds it, and refused with it."""
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    command = "pip install 'shadowdiff[sentence-transformers]'"
    assert listed("st").missing == command
    with pytest.raises(ConfigError, match=r"^st: needs sentence-transformers; install it with: ") as refused:
        build(parse("st:some/model"))
    assert str(refused.value).endswith(command)


def test_a_misspelt_scheme_names_what_is_installed() -> None:
    """The message has the spec, the installed kinds and the nearest of them."""
    with pytest.raises(SpecError) as refused:
        build(parse("onx:models/a"))
    kinds = ", ".join(kind.scheme for kind in installed())
    assert str(refused.value) == f"no reranker 'onx' in 'onx:models/a'; installed: {kinds} (did you mean 'onnx'?)"


def test_a_misspelt_short_name_names_the_short_names() -> None:
    """Names of shadowdiff.toml are offered beside the installed kinds."""
    with pytest.raises(SpecError, match=r"named in shadowdiff\.toml: v3, wide \(did you mean 'wide'\?\)$"):
        build(parse("wid"), {"wide": "bm25", "v3": "cosine"})


def test_short_names_stand_for_specs() -> None:
    """A short name is what is shown, its spec is what is built and stored; a spec is its own name."""
    names = {"v3": "onnx:models/v3,threads=2"}
    assert resolve(" v3 ", names) == ("v3", Spec("onnx", "models/v3", (("threads", "2"),)))
    assert resolve("onnx:a,threads=2,input=body", names)[0] == "onnx:a,input=body,threads=2"


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"cosine": "bm25"}, "'cosine' in shadowdiff.toml hides the reranker of that name; rename it"),
        ({"cosine": "other", "other": "bm25"}, "hides the reranker"),
    ],
)
def test_short_names_hide_nothing(names: dict[str, str], message: str) -> None:
    """A short name that is an installed kind would change what a spec means."""
    with pytest.raises(SpecError, match=message):
        resolve("cosine", names)


def test_short_names_name_specs_only() -> None:
    """A short name of a short name is refused, so there are no circles."""
    with pytest.raises(SpecError, match=r"'new' in shadowdiff\.toml stands for another name; write the spec itself"):
        resolve("new", {"new": "old", "old": "bm25"})


def test_listing_imports_nothing_heavy(tmp_path: Path) -> None:
    """`shadowdiff rerankers` answers without torch, ONNX Runtime or sentence-transformers."""
    import subprocess

    script = (
        "import sys; from shadowdiff.rerankers.registry import installed; installed();"
        "heavy = {'torch', 'onnxruntime', 'sentence_transformers', 'tokenizers', 'bm25s', 'transformers'};"
        "heavy |= {'boto3', 'botocore', 'httpx'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.strip() == "[]"
