"""The text scan: what it finds, what it leaves alone, and that it never repeats a secret.

Tokens are put together here at run time, so that no scanner ever stops at this file.
"""

from __future__ import annotations

import random
import string
import time

import pytest

from yoi_bundles.content.material import entropy_of, redact, scan_text
from yoi_bundles.content.material_rules import RULES, Rule
from yoi_bundles.model.ids import RelativePath

PATH = RelativePath("prompts/task/go.md")
ALNUM = string.ascii_letters + string.digits
UPPER = string.ascii_uppercase + string.digits
BASE32 = string.ascii_uppercase + "234567"
HEX = string.digits + "abcdef"
URLSAFE = ALNUM + "_"


def rnd(alphabet: str, size: int, seed: str = "x") -> str:
    """Text that looks random and is the same at every run."""
    generator = random.Random(f"{alphabet}{size}{seed}")
    return "".join(generator.choice(alphabet) for _ in range(size))


def join(*parts: str) -> str:
    return "".join(parts)


def pem(kind: str) -> str:
    dashes = "-" * 5
    body = rnd(ALNUM, 64)
    return f"{dashes}BEGIN {kind}{dashes}\n{body}\n{dashes}END {kind}{dashes}"


SECRETS: list[tuple[str, str, str]] = [
    ("private-key", "pkcs8", pem("PRIVATE KEY")),
    ("private-key", "openssh", pem("OPENSSH PRIVATE KEY")),
    ("private-key", "rsa", pem("RSA PRIVATE KEY")),
    ("private-key", "encrypted", pem("ENCRYPTED PRIVATE KEY")),
    (
        "private-key",
        "with-headers",
        pem("EC PRIVATE KEY").replace("\n", "\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES,00\n\n", 1),
    ),
    ("private-key", "one-line", pem("PRIVATE KEY").replace("\n", "\\n")),
    ("github-token", "classic", join("ghp", "_", rnd(ALNUM, 36))),
    ("github-token", "oauth", join("gho", "_", rnd(ALNUM, 36))),
    ("github-token", "server", join("ghs", "_", rnd(ALNUM, 36))),
    ("github-fine-grained-token", "", join("github", "_pat_", rnd(URLSAFE, 82))),
    ("gitlab-token", "personal", join("glpat", "-", rnd(ALNUM, 20))),
    ("gitlab-token", "deploy", join("gldt", "-", rnd(ALNUM, 20))),
    ("gitlab-token", "runner", join("glrt", "-", rnd(ALNUM, 20))),
    ("bitbucket-token", "cloud", join("ATATT3", rnd(ALNUM, 60))),
    ("npm-token", "", join("npm", "_", rnd(ALNUM, 36))),
    ("pypi-token", "", join("pypi-", "AgE", rnd(ALNUM, 80))),
    ("rubygems-token", "", join("rubygems", "_", rnd(HEX, 48))),
    ("crates-token", "", join("cio", rnd(ALNUM, 32))),
    ("docker-token", "", join("dckr", "_pat_", rnd(ALNUM, 27))),
    ("aws-access-key", "long-lived", join("AK", "IA", rnd(BASE32, 16))),
    ("aws-access-key", "session", join("AS", "IA", rnd(BASE32, 16))),
    ("google-api-key", "", join("AI", "za", rnd(ALNUM, 35))),
    ("google-oauth-secret", "", join("GOC", "SPX-", rnd(ALNUM, 28))),
    ("google-oauth-token", "", join("ya29", ".", rnd(ALNUM, 60))),
    ("azure-storage-key", "", join("AccountName=x;Account", "Key=", rnd(ALNUM, 86), "==")),
    ("digitalocean-token", "", join("dop", "_v1_", rnd(HEX, 64))),
    ("heroku-token", "", join("HR", "KU-", rnd(ALNUM, 60))),
    ("vault-token", "", join("hv", "s.", rnd(ALNUM, 28))),
    ("terraform-token", "", join(rnd(ALNUM, 14), ".atlas", "v1.", rnd(ALNUM, 64))),
    ("pulumi-token", "", join("pu", "l-", rnd(HEX, 40))),
    ("tailscale-key", "", join("ts", "key-auth-", rnd(ALNUM, 12), "-", rnd(ALNUM, 32))),
    ("databricks-token", "", join("da", "pi", rnd(HEX, 32))),
    ("planetscale-token", "", join("pscale", "_tkn_", rnd(ALNUM, 40))),
    ("supabase-token", "", join("sb", "p_", rnd(HEX, 40))),
    ("anthropic-key", "", join("sk", "-ant-", "api03-", rnd(ALNUM, 93), "AA")),
    ("openai-key", "project", join("sk", "-proj-", rnd(ALNUM, 74))),
    ("openai-key", "legacy", join("sk", "-", rnd(ALNUM, 48))),
    ("huggingface-token", "", join("h", "f_", rnd(string.ascii_letters, 34))),
    ("groq-key", "", join("gs", "k_", rnd(ALNUM, 52))),
    ("xai-key", "", join("xa", "i-", rnd(ALNUM, 80))),
    ("perplexity-key", "", join("pp", "lx-", rnd(ALNUM, 48))),
    ("replicate-token", "", join("r", "8_", rnd(ALNUM, 37))),
    ("slack-token", "bot", join("xo", "xb-", rnd(string.digits, 12), "-", rnd(ALNUM, 24))),
    ("slack-token", "user", join("xo", "xp-", rnd(string.digits, 12), "-", rnd(HEX, 32))),
    ("slack-app-token", "", join("xa", "pp-1-A", rnd(UPPER, 9), "-1234567890-", rnd(HEX, 64))),
    (
        "slack-webhook",
        "",
        join(
            "https://hooks.slack",
            ".com/services/T",
            rnd(UPPER, 8),
            "/B",
            rnd(UPPER, 8),
            "/",
            rnd(ALNUM, 24),
        ),
    ),
    (
        "discord-webhook",
        "",
        join("https://discord", ".com/api/webhooks/", rnd(string.digits, 18), "/", rnd(ALNUM, 68)),
    ),
    ("discord-token", "", join("M", rnd(ALNUM, 25), ".G", rnd(ALNUM, 5), ".", rnd(ALNUM, 38))),
    ("telegram-token", "", join(rnd(string.digits, 9), ":A", "A", rnd(ALNUM, 33))),
    ("stripe-key", "secret", join("sk", "_live_", rnd(ALNUM, 24))),
    ("stripe-key", "restricted", join("rk", "_live_", rnd(ALNUM, 24))),
    ("stripe-webhook-secret", "", join("wh", "sec_", rnd(ALNUM, 32))),
    ("square-token", "", join("sq0", "atp-", rnd(ALNUM, 22))),
    ("shopify-token", "", join("shp", "at_", rnd(HEX, 32))),
    ("sendgrid-key", "", join("S", "G.", rnd(ALNUM, 22), ".", rnd(ALNUM, 43))),
    ("twilio-key", "", join("S", "K", rnd(HEX, 32))),
    ("mailgun-key", "", join("ke", "y-", rnd(HEX, 32))),
    ("mailchimp-key", "", join(rnd(HEX, 32), "-u", "s12")),
    ("grafana-token", "", join("gl", "sa_", rnd(ALNUM, 32), "_", rnd(HEX, 8))),
    ("newrelic-key", "", join("NR", "AK-", rnd(UPPER, 27))),
    ("sentry-token", "", join("sn", "trys_", rnd(ALNUM, 64))),
    ("linear-key", "", join("lin", "_api_", rnd(ALNUM, 40))),
    ("notion-token", "", join("nt", "n_", rnd(ALNUM, 46))),
    ("figma-token", "", join("fi", "gd_", rnd(ALNUM, 43))),
    ("postman-key", "", join("PM", "AK-", rnd(HEX, 24), "-", rnd(HEX, 34))),
    ("doppler-token", "", join("dp", ".pt.", rnd(ALNUM, 43))),
    ("age-key", "", join("AGE-SECRET", "-KEY-1", rnd(UPPER, 58))),
    (
        "json-web-token",
        "",
        join("ey", "J", rnd(ALNUM, 30), ".ey", "J", rnd(ALNUM, 60), ".", rnd(ALNUM, 43)),
    ),
    ("url-password", "database", join("postgres://app:", "hunter2", "@db.example.org/app")),
    ("url-password", "proxy", join("http://me:", rnd(ALNUM, 12), "@proxy.example.org:3128")),
    ("url-password", "no-user", join("redis://:", rnd(ALNUM, 12), "@cache.example.org/0")),
    ("authorization-header", "", join("Authorization: ", "Bearer ", rnd(ALNUM, 40))),
    ("assigned-secret", "toml", join("password = ", '"', "Tr0ub4dor&3x!", '"')),
    ("assigned-secret", "yaml", join("api_key: ", '"', rnd(ALNUM, 24), '"')),
    ("assigned-secret", "json", join('"clientSecret"', ": ", '"', rnd(ALNUM, 24), '"')),
    ("assigned-secret", "code", join("DB_PASSWORD := ", "'", rnd(ALNUM, 16), "'")),
    ("assigned-secret", "aws", join("aws_secret_access_key = ", '"', rnd(ALNUM, 40), '"')),
    ("assigned-secret-bare", "environment", join("export API_TOKEN=", rnd(ALNUM, 32))),
    ("assigned-secret-bare", "ini", join("access_key = ", rnd(ALNUM, 32))),
]

INNOCENT: list[str] = [
    "Never commit a password, an API key or a token.",
    "The password is kept in the host's secret store; ask the operator for it.",
    'password = "secret:database-password"',
    'credential = "secret:acme-key"',
    'TRACKER_TOKEN = "secret:tracker-token"',
    'required = ["secret:anthropic-api-key", "secret:tracker-token"]',
    'password = "changeme"',
    'password = "your-password-here"',
    'token = "${API_TOKEN}"',
    "token: {{token}}",
    "api_key: <your key>",
    'api_key = os.environ["ACME_API_KEY"]',
    "token = request.headers.get_token_from_header()",
    "max_total_tokens = 4000000",
    "tokens: 200000 of context, 16000 of output",
    "secret_key: string, required, at least 12 characters",
    "https://user@git.example.org/team/repository.git",
    "https://git.example.org:8443/team/repository.git",
    "postgres://user:password@localhost/db",
    "postgres://user:<password>@localhost/db",
    "postgres://user:${PASSWORD}@localhost/db",
    "postgres://user:***@localhost/db",
    "ssh://git@git.example.org:22/team/repository.git",
    "Open `/run/secrets/token` and you get EACCES.",
    "The socket lives in /run/user/1000/agent.sock on Linux.",
    "A key begins with -----BEGIN PRIVATE KEY----- and ends with -----END PRIVATE KEY-----.",
    "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----",
    "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUZzE\n-----END CERTIFICATE-----",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE0x0y1z2A3b4C5d6E7f8G9h0I1j2K3l4M5n6O7p me@example.org",
    'digest = "sha256:6f1d3c0b9a5e4d27884f2b7c61e0a9d35cb84e1f27d6903a5be8c47f10d2e936"',
    "commit 0f9d6c8b1e5a4d3c2b1a09f8e7d6c5b4a3928170",
    'fingerprint = "00112233445566778899aabbccddeeff"',
    join("AK", "IAIOSFODNN7", "EXAMPLE") + " is the key id of the vendor's examples",
    join("gh", "p_", "x" * 36) + " stands for a token",
    join("sk", "-proj-", "x" * 48),
    join("gl", "pat-", "*" * 20),
    "sk-learn-contrib-and-other-long-names-with-hyphens-in-them-are-packages",
    "The task-force met the risk-assessment-team-of-the-international-department yesterday.",
    "uuid 3f2504e0-4f89-11d3-9a0c-0305e82c3301",
    "from hf_transfer_module_for_downloading_things import download",
    "npm_config_registry_and_other_environment_variables",
    "SG.com is a domain; e.g. SG. and so on",
    "eyJhbGciOiJub25lIn0 is the header of an unsigned token",
    "See https://hooks.slack.com/services/ in the vendor's manual.",
    "/api/webhooks/{id}/{token} takes a POST",
    "Basic authorization: see chapter 3. Authorization: Bearer <token>",
    "AccountKey=<key>;EndpointSuffix=core.windows.net",
    "pul-request and dapifoo and key-value stores",
    "パスワードは秘密の保管庫に置き、設定には書かないでください。",
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk",
]


@pytest.mark.parametrize(
    ("rule", "text"), [(rule, text) for rule, _, text in SECRETS],
    ids=[f"{rule}-{variant}".strip("-") for rule, variant, _ in SECRETS],
)  # fmt: skip
@pytest.mark.parametrize("frame", ["{}", "Use {} for now.", 'x = "{}"', "<{}>\n"])
def test_a_secret_is_found_wherever_it_stands(rule: str, text: str, frame: str) -> None:
    matches = scan_text(PATH, "First line.\n" + frame.replace("{}", text))
    assert [match.rule for match in matches] == [rule]
    assert all(match.line >= 2 for match in matches)


@pytest.mark.parametrize("text", INNOCENT)
def test_innocent_text_raises_no_alarm(text: str) -> None:
    assert scan_text(PATH, text) == []


def test_every_rule_is_tried_here() -> None:
    assert {rule.id for rule in RULES} == {rule for rule, _, _ in SECRETS}


def test_rule_ids_are_unique() -> None:
    assert len({rule.id for rule in RULES}) == len(RULES)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_keywords_are_lower_case(rule: Rule) -> None:
    assert all(word == word.lower() for word in rule.keywords)


@pytest.mark.parametrize(("rule", "text"), [(rule, text) for rule, _, text in SECRETS])
def test_a_finding_never_repeats_the_secret(rule: str, text: str) -> None:
    [match] = scan_text(PATH, text)
    finding = match.finding()
    whole = f"{match!r} {finding!r} {finding}"
    assert text not in whole
    words = [word for word in text.replace("\n", " ").split() if len(word) >= 12]
    assert not any(word[-12:] in whole for word in words if not word.startswith("-"))
    assert finding.code == "forbidden_material"
    assert finding.fingerprint == match.fingerprint


def test_line_is_the_secrets_own() -> None:
    text = "one\ntwo\n" + pem("PRIVATE KEY") + "\n" + SECRETS[6][2] + "\n"
    assert [match.line for match in scan_text(PATH, text)] == [4, 6]


def test_the_fingerprint_stays_when_lines_move() -> None:
    token = SECRETS[6][2]
    [here] = scan_text(PATH, token)
    [there] = scan_text(PATH, f"\n\n- and now {token}, further down")
    assert here.fingerprint == there.fingerprint
    assert (here.line, there.line) == (1, 3)


def test_the_fingerprint_belongs_to_one_file_and_one_secret() -> None:
    token = SECRETS[6][2]
    other = token[:-1] + ("a" if token[-1] != "a" else "b")
    [here] = scan_text(PATH, token)
    [elsewhere] = scan_text(RelativePath("prompts/task/other.md"), token)
    [another] = scan_text(PATH, other)
    assert len({here.fingerprint, elsewhere.fingerprint, another.fingerprint}) == 3


def test_two_secrets_on_a_line_are_two_matches() -> None:
    first, second = SECRETS[6][2], SECRETS[10][2]
    assert {match.rule for match in scan_text(PATH, f"{first} {second}")} == {
        "github-token",
        "gitlab-token",
    }


def test_redact_hides_secrets_and_leaves_the_rest() -> None:
    token = SECRETS[6][2]
    assert redact(f"a {token} b {token}") == "a (hidden) b (hidden)"
    assert redact("nothing here") == "nothing here"


def test_entropy_of_known_texts() -> None:
    assert entropy_of("aaaa") == 0
    assert entropy_of("abab") == 1
    assert entropy_of("") == 0


FRAGMENTS = [
    "a_", "a.", "A1", " \t", "\n", "key_", "token=", "secret: ", "ab://", "://a:", "a:b@", "eyJ",
    "aaa: x ", "aaa: x\n", "aaa: x\\n", "password = '", "authorization: bearer ", "token    =    ",
]  # fmt: skip


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_no_text_makes_a_rule_slow(rule: Rule) -> None:
    head = f"{'-' * 5}BEGIN PRIVATE KEY{'-' * 5}" if rule.id == "private-key" else ""
    for fragment in [*FRAGMENTS, *rule.keywords]:
        text = head + fragment * (20_000 // len(fragment))
        started = time.perf_counter()
        assert sum(1 for _ in rule.pattern.finditer(text)) < 2_000
        assert time.perf_counter() - started < 1, fragment


def test_a_megabyte_of_ordinary_text_is_scanned_in_time() -> None:
    text = ("The token, the key, the password: all. https://a.b/c:d@e sk- eyJ " * 40 + "\n") * 400
    assert len(text) > 1_000_000
    assert scan_text(PATH, text) == []
