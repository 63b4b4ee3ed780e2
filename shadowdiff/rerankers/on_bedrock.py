"""What the sides on AWS Bedrock share: options, how they are asked, and what the doctor says of them."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from shadowdiff.errors import ConfigError, RemoteError, RerankerError, SpecError
from shadowdiff.findings import Finding, fail, ok, warn
from shadowdiff.protocols import Answer, Network, PairScores, ScoreRequest
from shadowdiff.records import Asked, Usage
from shadowdiff.remote.asker import Asker, Exchange
from shadowdiff.remote.aws import Bedrock, credentials_at_hand, place_of
from shadowdiff.remote.aws_errors import GET_CREDENTIALS
from shadowdiff.remote.converse import NO_TEMPERATURE
from shadowdiff.remote.settings import ProviderSettings
from shadowdiff.rerankers.documents import FORMS, TITLE_AND_BODY
from shadowdiff.rerankers.pairs import valid_unicode
from shadowdiff.rerankers.scoring import scores_in
from shadowdiff.rerankers.spec import Options, Spec

ARN = re.compile(r"arn:aws[a-z-]*:(?P<service>[a-z0-9-]+):(?P<region>[a-z0-9-]*):(?P<account>\d*):(?P<resource>\S+)")
FOUNDATION = "foundation-model/"
CHARACTERS_PER_TOKEN = 4
"""Of English, roughly: for estimates, and for a limit of tokens per minute."""
BLANK_SCORE = 0.0
"""Of a document without any text: Bedrock takes none, so it is not sent."""
PROBE = ScoreRequest("colour of the sky", ("The sky is blue.", "Trains run on rails."))


@dataclass(frozen=True, slots=True)
class Model:
    """A model as a spec names it: by a short id, or by an ARN."""

    name: str
    region: str | None
    """Of an ARN that has one."""
    identity: str
    """What decides its scores: a foundation model is the same in all regions, and under its ARN."""


def model_of(spec: Spec) -> Model:
    """The model that a spec's target names. Raises SpecError."""
    if not spec.target.startswith("arn:"):
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.:_-]*", spec.target):
            raise SpecError(f"'{spec}': {spec.scheme} needs the id or the ARN of a model on Bedrock")
        return Model(spec.target, None, spec.target)
    arn = ARN.fullmatch(spec.target)
    if arn is None:
        raise SpecError(f"'{spec}': an ARN is written arn:aws:bedrock:REGION:ACCOUNT:KIND/ID")
    resource = arn["resource"]
    identity = resource.removeprefix(FOUNDATION) if resource.startswith(FOUNDATION) else spec.target
    return Model(spec.target, arn["region"] or None, identity)


class Configured(Protocol):
    """Where settings of providers are found: a BuildContext, or whatever else has them."""

    @property
    def providers(self) -> Mapping[str, ProviderSettings]:
        """By scheme."""
        ...

    def provider(self, scheme: str) -> ProviderSettings:
        """Of one scheme, or the defaults."""
        ...


def settings_of(context: Configured, scheme: str) -> tuple[str, ProviderSettings]:
    """The table's name and settings: [providers.bedrock], or the scheme's own, which may leave where and who to it."""
    bedrock = context.provider("bedrock")
    if scheme not in context.providers:
        return "bedrock", bedrock
    own = context.provider(scheme)
    where = replace(
        own,
        url=own.url or bedrock.url,
        region=own.region or bedrock.region,
        profile=own.profile or bedrock.profile,
        allow_plain_http=own.allow_plain_http or bedrock.allow_plain_http,
    )
    return scheme, where


def bedrock_of(spec: Spec, options: Options, model: Model, context: Configured, service: str) -> Bedrock:
    """The way to a service where the spec, the ARN, [providers] or the AWS configuration say, in this order.

    Raises SpecError, ConfigError.
    """
    name, settings = settings_of(context, spec.scheme)
    region, profile = options.text("region"), options.text("profile")
    if region and model.region and region != model.region:
        raise SpecError(f"'{spec}': the ARN says {model.region}; leave region out")
    place = place_of(region or model.region or settings.region, profile or settings.profile)
    return Bedrock(service, place, settings, name=name)


def input_form(options: Options) -> str:
    """The option `input`: what of an entry is read."""
    return options.choice("input", FORMS, TITLE_AND_BODY)


def temperature_of(spec: Spec, options: Options) -> float | None:
    """The option `temperature`: a number from 0 to 1; None for `none`, of models that take none. Raises SpecError."""
    text = options.text("temperature", "0")
    if text == NO_TEMPERATURE:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise SpecError(f"temperature={text} in '{spec}': must be a number from 0 to 1, or {NO_TEMPERATURE}")
    return value


def tokens_of(*texts: str) -> int:
    """Tokens of all the texts, roughly."""
    return sum(len(text) for text in texts) // CHARACTERS_PER_TOKEN + 1


@dataclass(frozen=True, slots=True)
class Fitted:
    """A request as it is sent: texts cut to what is taken, documents without text left out."""

    query: str
    places: tuple[int, ...]
    """Of the documents sent, in the order of the request."""
    documents: tuple[str, ...]
    """Those sent, as they are sent."""
    truncated: tuple[bool, ...]
    """Per document of the request: whether it, or the query that it is scored against, was cut."""


def fitted(request: ScoreRequest, most: int, most_query: int) -> Fitted:
    """The request with texts of at most so many characters. Raises RemoteError where the query has no text."""
    query, query_cut = cut(request.query, most_query)
    if not query.strip():
        raise RemoteError(NO_QUERY, NO_QUERY)
    texts = [cut(document, most) for document in request.documents]
    places = tuple(place for place, (text, _) in enumerate(texts) if text.strip())
    marks = tuple(was_cut or query_cut for _, was_cut in texts)
    return Fitted(query, places, tuple(texts[place][0] for place in places), marks)


NO_QUERY = "the query is empty, and Bedrock takes none without text"


def cut(text: str, most: int) -> tuple[str, bool]:
    """The text as valid Unicode of at most `most` characters, and whether there were more."""
    return valid_unicode(text[:most]), len(text) > most


class BedrockSide(ABC):
    """A Reranker that asks Bedrock. Subclasses say how one request becomes scores."""

    repeatable = True
    listwise = False
    fingerprint: str

    def __init__(self, spec: Spec, bedrock: Bedrock, settings: ProviderSettings, form: str) -> None:
        self.spec = spec
        self.document_form = form
        self.concurrency = settings.concurrency
        self.network: Network | None = Network(bedrock.said)
        self._bedrock = bedrock
        self._asker = Asker(self._asked_for(bedrock), settings)

    @abstractmethod
    def _scored(self, request: ScoreRequest, exchange: Exchange) -> PairScores:
        """All scores of a request that has documents. Raises RemoteError."""

    @abstractmethod
    def estimate(self, request: ScoreRequest) -> Usage:
        """What asking would use. Sends nothing."""

    @abstractmethod
    def truncated(self, requests: Sequence[ScoreRequest]) -> Sequence[Sequence[bool]]:
        """Per request, whether each document, or the query for it, would be cut. Sends nothing."""

    def _asked_for(self, bedrock: Bedrock) -> str:
        """Whose limits are shared: by all sides that say the same."""
        return bedrock.said

    @property
    def stopped(self) -> str | None:
        """Why it sends nothing any more."""
        return self._asker.stopped

    def prepare(self) -> None:
        """Make the client and look for credentials: the first call is not to wait for that. Raises ConfigError."""
        self._bedrock.prepare()

    def ask(self, request: ScoreRequest) -> Answer:
        """Ask for all scores of the request."""
        exchange = self._asker.exchange()
        if not request.documents:
            return Answer(PairScores((), ()), exchange.asked)
        try:
            return Answer(self._scored(request, exchange), exchange.asked)
        except RerankerError as error:
            return Answer(error, replace(exchange.asked, seconds=None))
        except ConfigError as error:
            return Answer(RemoteError(str(error), str(error)), exchange.asked)

    def score(self, query: str, documents: Sequence[str]) -> Sequence[float]:
        """One score per document, in input order. Raises RemoteError."""
        return self.score_batch([ScoreRequest(query, tuple(documents))])[0].scores

    def score_batch(self, requests: Sequence[ScoreRequest]) -> Sequence[PairScores]:
        """One request after the other. Raises RemoteError of the first that fails."""
        return [scores_in(self.ask(request)) for request in requests]

    def close(self) -> None:
        """Give up what is under way and send nothing more."""
        self._asker.close()
        self._bedrock.close()

    def check(self, online: bool) -> Iterator[Finding]:
        """Where it asks, and whether credentials are at hand; `online`, whether one tiny call is answered."""

        def probe() -> tuple[object, Asked]:
            answer = self.ask(PROBE)
            return answer.found, answer.asked

        return way_checked(self.spec, self._bedrock, probe if online else None)


def way_checked(spec: Spec, bedrock: Bedrock, probe: Callable[[], tuple[object, Asked]] | None) -> Iterator[Finding]:
    """Where Bedrock is asked, and whether credentials are at hand; or with a `probe`, whether it is answered.

    A probe gives what came of it, an error or something else, and what it took.
    """
    profile = bedrock.place.profile
    yield ok("region", f"{spec}: asks {bedrock.said}{f' as profile {profile}' if profile else ''}")
    if probe is None:
        yield _at_hand(spec, credentials_at_hand(bedrock.service, bedrock.place))
        return
    found, asked = probe()
    if isinstance(found, RerankerError):
        yield fail("answer", f"{spec}: {found}")
    else:
        yield ok("answer", f"{spec}: Bedrock answered in {asked.seconds or 0.0:.2f} s")


def _at_hand(spec: Spec, found: str | None) -> Finding:
    if found:
        return ok("credentials", f"{spec}: found ({found}); --online tries them")
    return warn(
        "credentials",
        f"{spec}: none in the environment or in files; whether a role gives some is only seen with --online",
        GET_CREDENTIALS,
    )
