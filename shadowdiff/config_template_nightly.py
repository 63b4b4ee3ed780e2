"""The [nightly] and [gate] sections of the commented shadowdiff.toml: keys, values as TOML, and what they are for."""

from __future__ import annotations

NIGHTLY: tuple[tuple[str, str, str], ...] = (
    ("name", '"nightly"', "Nights of one name are one history, with a watermark and a lock of its own."),
    ("baseline", '"served"', "Sides, where they are others than those of [replay]."),
    ("others", '["v3"]', ""),
    ("directory", '"reports"', "Gets a folder per night, and `latest`; counts from where this file stands."),
    ("s3", '"s3://bucket/prefix"', "The same files, uploaded with the AWS credentials of the environment."),
    ("s3_endpoint", '"https://s3.example.com"', "For stores that speak S3 and are not AWS."),
    ("s3_region", '"eu-central-1"', ""),
    ("s3_profile", '"search-team"', ""),
    ("s3_allow_plain_http", "false", "true: reports may travel unencrypted to s3_endpoint, over a network of yours."),
    ("webhook_env", '"SHADOWDIFF_WEBHOOK"', "The environment variable with the URL of a Slack-compatible webhook."),
    ("report_url", '"https://reports.example.com/{night}/report.html"', "Where people open a report; for the message."),
    ("delivery_timeout", '"2min"', "What an upload or a message may take with all its attempts."),
    ("first", '"1d"', "How far the first night looks back; later ones begin where the one before ended."),
    ("overlap", '"1d"', "And how far before that they look for sessions that were still open then."),
    ("idle", '"30min"', "Sessions with a turn younger than this are left to the next night."),
    ("orgs", '["acme"]', "These orgs only."),
    ("sample", "500", "Draw as many of a night's sessions."),
    ("top_k", "10", ""),
    ("pool", "50", ""),
    ("pool_from", '"recorded"', ""),
    ("min_score", "{ B = 0.2 }", ""),
    ("noise", "false", "true: the baseline against itself as well."),
    ("latency", "0", "Turns timed per side."),
    ("max_usd", "5.0", "What a night may spend on providers."),
    ("max_failures", "0.02", "Exit 4 when more than this share of turns failed."),
)

GATE: tuple[tuple[str, str, str], ...] = (
    (
        "rules",
        '["only_in_a_per_session.B <= 3", "failed_share <= 0.02", "mean_overlap.B >= 0.7"]',
        "A night that does not keep to them exits 1; so does `replay --gates`. Figures: `replay --gate-figures`.",
    ),
    ("strict", '"bound"', '"bound": what is judged is the bad end of the 95% interval; "point": the figure itself.'),
)
