"""Settings: one frozen value from shadowdiff.toml and the environment."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from shadowdiff.config import PrivacySettings, load_settings
from shadowdiff.errors import ConfigError

WHOLE = """
[database]
url = "postgresql://me@db/rag"
[store]
url = "postgresql://me@db/runs"
[replay]
baseline = "cosine"
others = ["bm25", "v3"]
[rerankers]
v3 = "onnx:models/v3,max_length=256"
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(content: str | bytes, file: Path) -> str:
    """The line with which this file is refused."""
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigError) as caught:
        load_settings(file, {})
    assert "\n" not in str(caught.value)
    assert str(file) in str(caught.value)
    return str(caught.value)


def test_without_anything_the_embedded_server_is_used(here: Path) -> None:
    """No file and no environment: no URL, a home in the user's data directory."""
    settings = load_settings(None, {})
    assert (settings.database_url, settings.store_url, settings.file) == (None, None, None)
    assert settings.home.is_absolute()
    assert settings.home.name == "shadowdiff"
    assert not list(here.iterdir())


def test_every_key_of_the_file_arrives(here: Path) -> None:
    """The file in the current directory is read without being named."""
    Path("shadowdiff.toml").write_text(WHOLE, encoding="utf-8")
    settings = load_settings(None, {})
    assert settings.database_url == "postgresql://me@db/rag"
    assert settings.store_url == "postgresql://me@db/runs"
    assert (settings.baseline, settings.others) == ("cosine", ("bm25", "v3"))
    assert settings.rerankers == {"v3": "onnx:models/v3,max_length=256"}
    assert settings.file == Path("shadowdiff.toml")
    with pytest.raises(FrozenInstanceError):
        settings.home = here  # type: ignore[misc]


def test_the_environment_wins_over_the_file(here: Path) -> None:
    """Cron sets variables, and the file in a checkout must not overrule them."""
    file = here / "other.toml"
    file.write_text(WHOLE, encoding="utf-8")
    settings = load_settings(
        None,
        {
            "SHADOWDIFF_CONFIG": str(file),
            "SHADOWDIFF_DATABASE_URL": "postgresql://env/source",
            "SHADOWDIFF_STORE_URL": "postgresql://env/store",
            "SHADOWDIFF_HOME": "sub/home",
        },
    )
    assert (settings.database_url, settings.store_url) == ("postgresql://env/source", "postgresql://env/store")
    assert (settings.home, settings.file) == (here / "sub" / "home", file)


def test_a_named_file_wins_over_the_environment_and_the_current_directory(here: Path) -> None:
    """`--config FILE` is what was asked for last."""
    for name in ("shadowdiff", "env", "named"):
        (here / f"{name}.toml").write_text(f'[replay]\nbaseline = "{name}"\n', encoding="utf-8")
    environment = {"SHADOWDIFF_CONFIG": str(here / "env.toml")}
    assert load_settings(here / "named.toml", environment).baseline == "named"
    assert load_settings(None, environment).baseline == "env"
    assert load_settings(None, {}).baseline == "shadowdiff"


def test_empty_variables_and_urls_count_as_absent(here: Path) -> None:
    """`SHADOWDIFF_DATABASE_URL=` and `url = ""` are ways to say none."""
    (here / "shadowdiff.toml").write_text('[database]\nurl = ""\n[store]\nurl = ""\n', encoding="utf-8")
    names = ("SHADOWDIFF_DATABASE_URL", "SHADOWDIFF_STORE_URL", "SHADOWDIFF_HOME", "SHADOWDIFF_CONFIG")
    settings = load_settings(None, dict.fromkeys(names, ""))
    assert (settings.database_url, settings.store_url) == (None, None)
    assert settings == load_settings(None, {})


def test_privacy_is_read_whole(here: Path) -> None:
    """Every key of [privacy] arrives; without the section nothing is redacted, and everything is stored."""
    content = """
[privacy]
redact = ["email", "card"]
phone_regions = ["DE"]
redact_stored = true
store_text = false
offline = true
[privacy.patterns]
ticket = 'T-\\d+'
"""
    (here / "shadowdiff.toml").write_text(content, encoding="utf-8")
    expected = PrivacySettings(("email", "card"), ("DE",), {"ticket": r"T-\d+"}, True, False, True)
    assert load_settings(None, {}).privacy == expected
    (here / "shadowdiff.toml").write_text("", encoding="utf-8")
    assert load_settings(None, {}).privacy == PrivacySettings()
    assert PrivacySettings() == PrivacySettings((), (), {}, False, True, False)


def test_offline_by_variable(here: Path) -> None:
    """It wins over the file in both directions; anything but a plain yes or no is refused, not guessed."""
    (here / "shadowdiff.toml").write_text("[privacy]\noffline = true\n", encoding="utf-8")
    assert not load_settings(None, {"SHADOWDIFF_OFFLINE": "0"}).privacy.offline
    assert load_settings(None, {"SHADOWDIFF_OFFLINE": ""}).privacy.offline
    (here / "shadowdiff.toml").unlink()
    assert load_settings(None, {"SHADOWDIFF_OFFLINE": "True"}).privacy.offline
    with pytest.raises(ConfigError, match=r"^SHADOWDIFF_OFFLINE must be 1 or 0$"):
        load_settings(None, {"SHADOWDIFF_OFFLINE": "maybe"})


def test_a_tilde_in_a_variable_is_the_users_home(here: Path) -> None:
    """Systemd and cron expand nothing; a user that does not exist is said plainly."""
    assert load_settings(None, {"SHADOWDIFF_HOME": "~/sd"}).home == Path.home() / "sd"
    with pytest.raises(ConfigError, match="~no-such-user-here/x"):
        load_settings(None, {"SHADOWDIFF_HOME": "~no-such-user-here/x"})


def test_a_named_file_must_exist(here: Path) -> None:
    """A typing error in the path must not silently give the defaults."""
    with pytest.raises(ConfigError, match=r"no configuration file at gone\.toml"):
        load_settings(Path("gone.toml"), {})
    with pytest.raises(ConfigError, match="no configuration file at"):
        load_settings(None, {"SHADOWDIFF_CONFIG": str(here)})


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param("[database\n", "line 1", id="not-toml"),
        pytest.param('[database]\nurl = "a"\nurl = "b"\n', "line 3", id="key-twice"),
        pytest.param(b'[database]\nurl = "\xff"\n', "utf-8", id="not-utf8"),
        pytest.param("[rerankers]\na = " + "[" * 100_000, "cannot read", id="endless-nesting"),
        pytest.param(
            "[databse]\n",
            "unknown section [databse]; known: database, gate, judge, nightly, prices, privacy, providers, replay, "
            "rerankers, source, store",
            id="section",
        ),
        pytest.param('[store]\nurll = ""\n', "unknown key 'urll' in [store]; known: url", id="key"),
        pytest.param("replay = 3\n", "[replay] must be a table, not a number", id="no-table"),
        pytest.param("[database]\nurl = 5432\n", "[database] url must be a string, not a number", id="number"),
        pytest.param(
            "[replay]\nothers = 'bm25'\n", "[replay] others must be a list of strings, not a string", id="text"
        ),
        pytest.param("[replay]\nothers = [1]\n", "others must be a list of strings, not a list of other", id="numbers"),
        pytest.param("[rerankers]\nv3 = true\n", "[rerankers] v3 must be a string, not true or false", id="bool"),
        pytest.param("[prices.x]\nrequest = nan\n", "[prices.x] request has a value that cannot be used", id="price"),
        pytest.param("[providers.tei]\nretries = inf\n", "retries has a value that cannot be used", id="retries"),
        pytest.param(
            "[nightly]\nname = ' '\n", "name must be a string that is not empty, not another string", id="name"
        ),
        pytest.param("[nightly]\ntop_k = 0\n", "top_k must be a whole number, 1 or more, not another", id="top-0"),
        pytest.param("[nightly]\nsample = 0\n", "sample must be a whole number, 1 or more, not", id="sample-0"),
        pytest.param("[nightly]\npool = 0\n", "pool must be a whole number, 1 or more, not", id="pool-0"),
        pytest.param("[nightly]\nmax_failures = 5\n", "must be a number from 0 to 1, not another", id="share"),
        pytest.param("[nightly]\npool_from = 'x'\n", "must be 'recorded', 'cosine', 'bm25' or 'hybrid'", id="pools"),
        pytest.param("[nightly]\npool_from = 'union'\n", "'bm25' or 'hybrid', not another string", id="union"),
        pytest.param("[nightly]\nlatency = inf\n", "must be a whole number, 0 or more, not another", id="endless"),
        pytest.param("[nightly]\ntop_k = nan\n", "must be a whole number, 1 or more, not another", id="nan"),
        pytest.param("[nightly]\nmin_score = {B = nan}\n", "must be a table of numbers, not a table", id="nans"),
        pytest.param("[nightly]\nidle = inf\n", "or a time such as '500ms', '30s' or '2min', not another", id="never"),
        pytest.param("[nightly]\nidle = 1e300\n", "'30s' or '2min', not another number", id="too-long"),
        pytest.param("[nightly]\nfirst = '999999999d'\n", "'30s' or '2min', not another string", id="too-long-text"),
        pytest.param("[gate]\nstrict = ['bound']\n", "must be 'bound' or 'point', not a list", id="strict-list"),
        pytest.param("[gate]\nstrict = 'bnd'\n", "must be 'bound' or 'point', not another string", id="strict"),
        pytest.param("[rerankers.v3]\n", "[rerankers] v3 must be a string, not a table", id="table"),
        pytest.param("[rerankers]\nv3 = 2026-11-19\n", "[rerankers] v3 must be a string, not a date", id="date"),
        pytest.param(
            "[privacy]\nredact = ['mail']\n",
            "[privacy] redact knows no 'mail'; it knows key, email, card, phone",
            id="unknown-redaction",
        ),
        pytest.param(
            "[privacy.patterns]\nticket = 'T-(\\d+'\n",
            "[privacy] patterns: 'ticket' is not a regular expression: missing ), unterminated",
            id="bad-pattern",
        ),
        pytest.param("[privacy.patterns]\n'a b' = 'x'\n", "'-' and '_', not 'a b'", id="bad-pattern-name"),
        pytest.param("[privacy]\nredact_stored = true\n", "name nothing to redact", id="redact-stored-nothing"),
    ],
)
def test_a_bad_file_is_refused(here: Path, content: str | bytes, reason: str) -> None:
    """The file, the place in it, and what is expected there."""
    assert reason in refused(content, here / "bad.toml")


@pytest.mark.parametrize(
    "content",
    [
        'database = "postgresql://me:hunter2@db/rag"\n',
        '[database]\nurl = ["postgresql://me:hunter2@db/rag"]\n',
        '[database]\nurl = {primary = "postgresql://me:hunter2@db/rag"}\n',
        '[database]\n"postgresql://me:x@db" = 1\nurl = "postgresql://me:hunter2@db/rag\n',
    ],
)
def test_a_refusal_repeats_no_password(here: Path, content: str) -> None:
    """A value of the wrong kind may hold a URL, so values are not shown."""
    assert "hunter2" not in refused(content, here / "bad.toml")
