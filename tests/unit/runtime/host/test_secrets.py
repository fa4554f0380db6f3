"""Secrets: values that do not leak, sources that are safe, errors that tell nothing."""

import copy
import json
import logging
import os
import pickle
import sys
import traceback

import pytest
from pydantic import BaseModel, TypeAdapter

from yoi_bundles.errors import PolicyDeniedError, StoreError
from yoi_bundles.model.host_policy import SecretRule
from yoi_bundles.model.ids import Name, WorkspaceId
from yoi_bundles.resolve.matching import Subject
from yoi_bundles.runtime.host.secrets import SECRET_BYTES, SecretStore, SecretValue

CANARY = "canary-value-7f3a"
CODER = Subject(WorkspaceId("acme"), Name("coder"))
TOKEN = Name("token")


# --- the value ---


def value():
    return SecretValue(CANARY)


def test_the_value_comes_out_of_reveal():
    assert value().reveal() == CANARY


@pytest.mark.parametrize(
    "show",
    [
        repr,
        str,
        "{}".format,
        "{:>40}".format,
        "{!r}".format,
        lambda v: f"{v}",
        lambda v: "%s %r" % (v, v),  # noqa: UP031
        lambda v: repr([v]),
        lambda v: repr({"v": v}),
        lambda v: str(ValueError(v)),
        lambda v: repr(dir(v)),
    ],
)
def test_no_way_of_printing_shows_it(show):
    assert CANARY not in show(value())


def test_a_log_line_does_not_show_it(caplog):
    with caplog.at_level(logging.INFO):
        logging.getLogger("test").info("token %s %r", value(), value())
    assert CANARY not in caplog.text


@pytest.mark.parametrize(
    "use",
    [
        pickle.dumps,
        lambda v: pickle.dumps(v, 0),
        copy.copy,
        copy.deepcopy,
        json.dumps,
        hash,
        list,
        len,
        iter,
        vars,
        lambda v: v.__getstate__(),
        lambda v: v.__reduce__(),
        lambda v: v.__reduce_ex__(2),
        lambda v: {v: 1},
        lambda v: v + "",
        lambda v: "" + v,
        lambda v: CANARY in v,
        lambda v: TypeAdapter(SecretValue),
        lambda v: type("Sub", (BaseModel,), {"__annotations__": {"v": SecretValue}}),
    ],
)
def test_no_way_of_copying_or_serialising_works(use):
    with pytest.raises(TypeError) as caught:
        use(value())
    assert CANARY not in str(caught.value)


def test_comparing_tells_equal_values_and_nothing_else():
    assert value() == SecretValue(CANARY)
    assert value() != SecretValue("other")
    assert value() != CANARY
    assert SecretValue("ü") != SecretValue("u")


# --- sources ---


def store(*rules, environment=None, **options):
    parsed = [SecretRule.model_validate({"name": "token", **rule}) for rule in rules]
    environment = {"PATH": os.environ["PATH"]} | (environment or {})
    return SecretStore(parsed, environment=environment, **options)


def private(tmp_path, data=CANARY, mode=0o600):
    path = tmp_path / "canary-path"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    path.chmod(mode)
    return {"file": str(path)}


def python(code):
    return {"command": [sys.executable, "-c", code]}


def fail(secrets, match):
    """Reading fails, and the whole traceback knows neither value nor path."""
    with pytest.raises(StoreError, match=match) as caught:
        secrets.read(TOKEN, CODER)
    assert caught.value.code == "store_error"
    assert caught.value.facts == {"rule": "secret[0]", "power": "secret:token"}
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value.facts)
    assert "canary" not in shown
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None


def test_a_variable_is_read_when_asked():
    secrets = store({"env": "CANARY_ENV"}, environment={"CANARY_ENV": CANARY})
    assert secrets.read(TOKEN, CODER).reveal() == CANARY
    assert secrets.list_sources() == (True,)
    assert "CANARY" not in repr(secrets)


@pytest.mark.parametrize("environment", [{}, {"CANARY_ENV": ""}])
def test_a_variable_that_is_not_set_is_no_source(environment):
    secrets = store({"env": "CANARY_ENV"}, environment=environment)
    assert secrets.list_sources() == (False,)
    fail(secrets, "it is empty")


def test_the_environment_of_the_process_is_the_default(monkeypatch):
    monkeypatch.setenv("YOI_TEST_TOKEN", CANARY)
    rule = SecretRule(name=TOKEN, env="YOI_TEST_TOKEN")
    assert SecretStore([rule]).read(TOKEN, CODER).reveal() == CANARY


@pytest.mark.parametrize(
    ("data", "read"),
    [(CANARY, CANARY), (f"{CANARY}\n", CANARY), (f"{CANARY}\r\n", CANARY), ("a\n\n", "a\n"),
     (" a ", " a ")],
)  # fmt: skip
def test_a_file_is_read_without_its_last_line_end(tmp_path, data, read):
    secrets = store(private(tmp_path, data))
    assert secrets.read(TOKEN, CODER).reveal() == read
    assert secrets.list_sources() == (True,)


@pytest.mark.parametrize("mode", [0o604, 0o606, 0o644, 0o602])
def test_a_file_everybody_may_read_is_refused(tmp_path, mode):
    secrets = store(private(tmp_path, mode=mode))
    assert secrets.list_sources() == (False,)
    fail(secrets, "everybody may read")


@pytest.mark.parametrize("mode", [0o400, 0o440, 0o640])
def test_a_file_of_owner_and_group_is_fine(tmp_path, mode):
    assert store(private(tmp_path, mode=mode)).read(TOKEN, CODER).reveal() == CANARY


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "it is empty"),
        (b"\n", "it is empty"),
        (b"\xff\xfe canary", "it is not text"),
        (b"canary\0", "it is not text"),
        (b"c" * (SECRET_BYTES + 1), "longer than 65536 bytes"),
    ],
)
def test_a_file_that_holds_no_value_is_refused(tmp_path, data, match):
    fail(store(private(tmp_path, data)), match)


def test_a_missing_file_a_link_and_a_directory_are_no_sources(tmp_path):
    fail(store({"file": str(tmp_path / "canary-gone")}), "does not exist")
    private(tmp_path)
    (tmp_path / "canary-link").symlink_to("canary-path")
    fail(store({"file": str(tmp_path / "canary-link")}), "symbolic link")
    (tmp_path / "canary-dir").mkdir()
    fail(store({"file": str(tmp_path / "canary-dir")}), "not a regular file")


def test_a_commands_output_is_the_value():
    secrets = store(python(f"print({CANARY!r})"))
    assert secrets.read(TOKEN, CODER).reveal() == CANARY
    assert secrets.list_sources() == (True,)


def test_a_command_runs_without_a_shell_and_with_our_environment():
    code = "import os, sys; print(sys.argv[1] + os.environ['X'])"
    rule = {"command": [sys.executable, "-c", code, "$X; echo $(id)"]}
    secrets = store(rule, environment={"X": "!"})
    assert secrets.read(TOKEN, CODER).reveal() == "$X; echo $(id)!"


@pytest.mark.parametrize(
    ("code", "match"),
    [
        ("import sys; print('canary'); sys.exit(3)", "ended with status 3"),
        ("import sys; sys.stderr.write('canary')", "it is empty"),
        (f"print('c' * {SECRET_BYTES * 4})", "longer than 65536 bytes"),
        ("import time; print('canary', flush=True); time.sleep(60)", "takes too long"),
        ("import os, time; os.close(1); time.sleep(60)", "takes too long"),
        ("import sys; sys.stdout.buffer.write(b'\\xff')", "it is not text"),
    ],
)
def test_a_command_that_fails_tells_nothing(code, match):
    patience = 0.5 if "sleep" in code else 20.0
    fail(store(python(code), timeout_seconds=patience), match)


def test_a_program_that_is_not_there_is_no_source(tmp_path):
    secrets = store({"command": ["canary-program"]})
    assert secrets.list_sources() == (False,)
    fail(secrets, "not on the PATH")
    broken = tmp_path / "canary-broken"
    broken.write_bytes(b"\x7fELF not really")
    broken.chmod(0o755)
    fail(store({"command": [str(broken)]}), "cannot be started|ended with status")


# --- rules ---


def test_the_first_rule_in_scope_is_read():
    secrets = store(
        {"env": "A", "workspaces": ["other"]},
        {"env": "B", "profiles": ["c*"]},
        {"env": "C"},
        environment={"A": "a", "B": "b", "C": "c"},
    )
    assert secrets.read(TOKEN, CODER).reveal() == "b"
    assert secrets.read(TOKEN, Subject(WorkspaceId("other"), Name("x"))).reveal() == "a"
    assert secrets.read(TOKEN, Subject(WorkspaceId("acme"), Name("x"))).reveal() == "c"


def test_no_rule_no_value():
    with pytest.raises(PolicyDeniedError) as caught:
        store().read(TOKEN, CODER)
    assert caught.value.code == "policy_denied"
    assert caught.value.facts == {"rule": "default-deny", "power": "secret:token"}


def test_each_rule_says_whether_it_has_a_source():
    secrets = store({"env": "A"}, {"env": "B"}, environment={"B": "b"})
    assert secrets.list_sources() == (False, True)
