"""Which texts are secrets: a table of anchored rules.

A rule names a format that its issuer documents, so that a hit is nearly always right. Floors of
entropy let placeholders such as a row of ``x`` pass.

Source: the issuers' published token formats; docs/format.md, "Forbidden material".
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple


class Rule(NamedTuple):
    """One kind of secret.

    Args:
        id: Stable name: it is part of every fingerprint.
        what: The kind, in words for people.
        expression: What it looks like; group ``secret``, if there is one, is the secret's own part.
        keywords: Lower-case texts of which at least one stands in every text that can match.
        min_entropy: Bits per character that the secret must have at least.
        mixed: Whether the secret must hold a digit and a letter.
    """

    id: str
    what: str
    expression: str
    keywords: tuple[str, ...]
    min_entropy: float = 2.8
    mixed: bool = False

    @property
    def pattern(self) -> re.Pattern[str]:
        """Compiled when it is first used: most texts never get that far."""
        return _compile(self.expression)


@cache
def _compile(expression: str) -> re.Pattern[str]:
    return re.compile(expression)


def _rule(
    id_: str, what: str, pattern: str, *keywords: str, entropy: float = 2.8, mixed: bool = False
) -> Rule:
    return Rule(id_, what, pattern, keywords, entropy, mixed)


_START = r"(?<![A-Za-z0-9_-])"
_END = r"(?![A-Za-z0-9_-])"


def _token(id_: str, what: str, pattern: str, *keywords: str, entropy: float = 2.8) -> Rule:
    """A token that stands alone: no letter, digit, ``_`` or ``-`` touches it."""
    return _rule(id_, what, f"{_START}(?:{pattern}){_END}", *keywords, entropy=entropy)


_KEYS = _rule(
    "private-key",
    "a private key",
    r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----(?:\s|\\n|>){0,20}"
    r"(?:[A-Za-z-]{3,20}: [^\n\\]{1,80}(?:\n|\\n)){0,8}"
    r"(?:\s|\\n){0,4}(?P<secret>[A-Za-z0-9+/=]{16,})",
    "private key",
)

_SOURCE_HOSTING = (
    _token(
        "github-token",
        "a GitHub token",
        r"gh[pousr]_[A-Za-z0-9]{36,251}",
        *("ghp_", "gho_", "ghu_", "ghs_", "ghr_"),
    ),
    _token(
        "github-fine-grained-token",
        "a GitHub token",
        r"github_pat_[A-Za-z0-9_]{60,}",
        "github_pat_",
    ),
    _token(
        "gitlab-token",
        "a GitLab token",
        r"gl(?:pat|dt|rt|cbt|ptt|ft|soat|agent|oas|imt)-[A-Za-z0-9_-]{20,}(?:\.[a-z0-9.]{2,20})?",
        "glpat-",
        "gldt-",
        "glrt-",
        "glcbt-",
        "glptt-",
        "glft-",
        "glsoat-",
        "glagent-",
        "gloas-",
        "glimt-",
    ),
    _token(
        "bitbucket-token",
        "an Atlassian token",
        r"AT(?:ATT3|CTT3|BB)[A-Za-z0-9_=-]{24,}",
        "atatt3",
        "atctt3",
        "atbb",
    ),
    _token("npm-token", "an npm token", r"npm_[A-Za-z0-9]{36}", "npm_"),
    _token("pypi-token", "a PyPI token", r"pypi-AgE[A-Za-z0-9_-]{50,}", "pypi-age"),
    _token("rubygems-token", "a RubyGems token", r"rubygems_[0-9a-f]{48}", "rubygems_"),
    _token("crates-token", "a crates.io token", r"cio[A-Za-z0-9]{32}", "cio", entropy=3.8),
    _token("docker-token", "a Docker Hub token", r"dckr_(?:pat|oat)_[A-Za-z0-9_-]{27,}", "dckr_"),
)

_CLOUD = (
    _token(
        "aws-access-key",
        "an AWS access key id",
        r"(?:AKIA|ASIA|ABIA|ACCA)(?![A-Z0-9]{9}EXAMPLE)[A-Z2-7]{16}",
        "akia",
        "asia",
        "abia",
        "acca",
    ),
    _token("google-api-key", "a Google API key", r"AIza[0-9A-Za-z_-]{35}", "aiza"),
    _token("google-oauth-secret", "a Google OAuth secret", r"GOCSPX-[A-Za-z0-9_-]{28}", "gocspx-"),
    _token("google-oauth-token", "a Google OAuth token", r"ya29\.[A-Za-z0-9_-]{40,}", "ya29."),
    _rule(
        "azure-storage-key",
        "an Azure storage key",
        r"(?i:AccountKey|SharedAccessKey)\s*=\s*(?P<secret>[A-Za-z0-9+/]{42,86}={1,2})",
        "accountkey",
        "sharedaccesskey",
        entropy=3.5,
    ),
    _token(
        "digitalocean-token",
        "a DigitalOcean token",
        r"do[opr]_v1_[0-9a-f]{64}",
        "dop_v1_",
        "doo_v1_",
        "dor_v1_",
    ),
    _token("heroku-token", "a Heroku token", r"HRKU-[A-Za-z0-9_-]{30,}", "hrku-"),
    _token("vault-token", "a Vault token", r"hv[sbr]\.[A-Za-z0-9_-]{24,}", "hvs.", "hvb.", "hvr."),
    _token(
        "terraform-token",
        "a Terraform Cloud token",
        r"[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{60,}",
        "atlasv1",
    ),
    _token("pulumi-token", "a Pulumi token", r"pul-[0-9a-f]{40}", "pul-"),
    _token(
        "tailscale-key",
        "a Tailscale key",
        r"tskey-[a-z]{3,10}-[A-Za-z0-9]{8,}-[A-Za-z0-9]{20,}",
        "tskey-",
    ),
    _token("databricks-token", "a Databricks token", r"dapi[0-9a-f]{32}(?:-\d)?", "dapi"),
    _token(
        "planetscale-token",
        "a PlanetScale token",
        r"pscale_(?:tkn|pw|oauth)_[A-Za-z0-9_=.-]{32,}",
        "pscale_",
    ),
    _token("supabase-token", "a Supabase token", r"sbp_[0-9a-f]{40}", "sbp_"),
)

_MODELS = (
    _token(
        "anthropic-key", "an Anthropic key", r"sk-ant-[a-z]{3,6}\d\d-[A-Za-z0-9_-]{40,}", "sk-ant-"
    ),
    _token(
        "openai-key",
        "an OpenAI key",
        r"sk-(?:proj|svcacct|admin)-[A-Za-z0-9_-]{40,}|sk-[A-Za-z0-9]{40,64}",
        "sk-",
        entropy=3.5,
    ),
    _token("huggingface-token", "a Hugging Face token", r"hf_[A-Za-z0-9]{34,}", "hf_", entropy=3.3),
    _token("groq-key", "a Groq key", r"gsk_[A-Za-z0-9]{48,}", "gsk_"),
    _token("xai-key", "an xAI key", r"xai-[A-Za-z0-9]{60,}", "xai-"),
    _token("perplexity-key", "a Perplexity key", r"pplx-[A-Za-z0-9]{40,}", "pplx-"),
    _token("replicate-token", "a Replicate token", r"r8_[A-Za-z0-9]{37,}", "r8_"),
)

_SERVICES = (
    _token("slack-token", "a Slack token", r"xox[abeoprs](?:\.xox[abp])?-[A-Za-z0-9-]{20,}", "xox"),
    _token("slack-app-token", "a Slack token", r"xapp-\d-[A-Z0-9]+-\d+-[a-f0-9]{32,}", "xapp-"),
    _rule(
        "slack-webhook",
        "a Slack webhook",
        r"hooks\.slack\.com/(?:services|workflows)/(?P<secret>T[A-Z0-9]{6,}/[A-Z0-9]{6,}/[A-Za-z0-9]{20,})",
        "hooks.slack.com",
    ),
    _rule(
        "discord-webhook",
        "a Discord webhook",
        r"discord(?:app)?\.com/api/webhooks/(?P<secret>\d{15,}/[A-Za-z0-9_-]{50,})",
        "/api/webhooks/",
    ),
    _token(
        "discord-token",
        "a Discord bot token",
        r"[MNO][A-Za-z0-9_-]{23,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,40}",
        ".",
        entropy=4.0,
    ),
    _token("telegram-token", "a Telegram bot token", r"\d{8,10}:AA[A-Za-z0-9_-]{33}", ":aa"),
    _token("stripe-key", "a Stripe key", r"(?:sk|rk)_live_[A-Za-z0-9]{20,}", "_live_"),
    _token(
        "stripe-webhook-secret", "a Stripe webhook secret", r"whsec_[A-Za-z0-9+/=]{28,}", "whsec_"
    ),
    _token("square-token", "a Square token", r"sq0(?:atp|csp)-[A-Za-z0-9_-]{22,}", "sq0"),
    _token("shopify-token", "a Shopify token", r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}", "shp"),
    _token(
        "sendgrid-key", "a SendGrid key", r"SG\.[A-Za-z0-9_-]{20,24}\.[A-Za-z0-9_-]{39,50}", "sg."
    ),
    _token("twilio-key", "a Twilio key", r"SK[0-9a-f]{32}", "sk"),
    _token("mailgun-key", "a Mailgun key", r"key-[0-9a-f]{32}", "key-"),
    _token("mailchimp-key", "a Mailchimp key", r"[0-9a-f]{32}-us\d{1,2}", "-us"),
    _token(
        "grafana-token",
        "a Grafana token",
        r"glsa_[A-Za-z0-9]{32}_[0-9a-f]{8}|glc_[A-Za-z0-9+/]{32,}=*",
        "glsa_",
        "glc_",
    ),
    _token(
        "newrelic-key",
        "a New Relic key",
        r"NR(?:AK|II|JS)-[A-Za-z0-9_-]{19,}",
        "nrak-",
        "nrii-",
        "nrjs-",
    ),
    _token("sentry-token", "a Sentry token", r"sntry[su]_[A-Za-z0-9+/=_-]{40,}", "sntry"),
    _token("linear-key", "a Linear key", r"lin_(?:api|oauth)_[A-Za-z0-9]{40,}", "lin_"),
    _token(
        "notion-token",
        "a Notion token",
        r"ntn_[A-Za-z0-9]{40,}|secret_[A-Za-z0-9]{43}",
        "ntn_",
        "secret_",
        entropy=3.5,
    ),
    _token(
        "figma-token", "a Figma token", r"fig[dou]_[A-Za-z0-9_-]{40,}", "figd_", "figo_", "figu_"
    ),
    _token("postman-key", "a Postman key", r"PMAK-[0-9a-f]{24}-[0-9a-f]{34}", "pmak-"),
    _token(
        "doppler-token",
        "a Doppler token",
        r"dp\.[a-z]{2,8}\.(?:[a-z0-9_-]+\.)?[A-Za-z0-9]{40,}",
        "dp.",
    ),
    _token("age-key", "an age identity", r"AGE-SECRET-KEY-1[0-9A-Z]{50,}", "age-secret-key-1"),
    _token(
        "json-web-token",
        "a JSON Web Token",
        r"eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}",
        "eyj",
    ),
)

_NAMES = (
    r"(?:passw(?:or)?d|passwd|passphrase|pwd|secret|token|api[_-]?key|access[_-]?key|"
    r"private[_-]?key|client[_-]?secret|auth[_-]?key|credential)s?"
)
_NOT_A_VALUE = r"(?!secret:|sha256:|[$<%*{\[(]|https?:)"

_GENERAL = (
    _rule(
        "url-password",
        "a URL with a password",
        r"(?i)\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@\"'<>{}]{0,80}:"
        r"(?!(?:password|passwd|pass|pwd|pw|secret|token|x+|\*+|\.+|…+)@)"
        r"(?P<secret>[^\s/@\"'<>{}$]{1,200})@[a-z0-9\[]",
        "://",
        entropy=0.0,
    ),
    _rule(
        "authorization-header",
        "an Authorization header",
        r"(?i)authorization[\"']?\s*[:=]\s*[\"']?(?:bearer|basic|token)\s+"
        r"(?P<secret>[A-Za-z0-9._~+/=-]{16,})",
        "authorization",
        entropy=3.3,
        mixed=True,
    ),
    _rule(
        "assigned-secret",
        "a value assigned to a secret's name",
        rf"(?i){_NAMES}[\"'`]?\s{{0,4}}(?:=>|:=|[:=])\s{{0,4}}"
        rf"(?P<quote>[\"'`]){_NOT_A_VALUE}(?P<secret>[^\s\"'`]{{8,200}})(?P=quote)",
        "passw",
        "passphrase",
        "pwd",
        "secret",
        "token",
        "key",
        "credential",
        entropy=2.7,
        mixed=True,
    ),
    _rule(
        "assigned-secret-bare",
        "a value assigned to a secret's name",
        rf"(?i){_NAMES}\s{{0,4}}[:=]\s{{0,4}}"
        rf"{_NOT_A_VALUE}(?P<secret>[A-Za-z0-9+/=_-]{{16,200}})(?![A-Za-z0-9.(\[])",
        "passw",
        "passphrase",
        "pwd",
        "secret",
        "token",
        "key",
        "credential",
        entropy=3.6,
        mixed=True,
    ),
)

RULES: tuple[Rule, ...] = (_KEYS, *_SOURCE_HOSTING, *_CLOUD, *_MODELS, *_SERVICES, *_GENERAL)
"""Narrow rules first: a text that one has claimed is not looked at by the general ones."""
