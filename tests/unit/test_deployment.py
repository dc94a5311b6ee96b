"""The files that describe a deployment agree with the settings, and keep what they promise."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.config import Settings
from workers.queues import QUEUES

ROOT = Path(__file__).parents[2]
OURS = ("web", "worker-digests", "worker-confirmations", "worker-mail", "scheduler")
# In a container these are given by the image or mean nothing.
NOT_IN_COMPOSE = {"data_dir", "bind_host", "bind_port", "mailbox_port", "archive_path"}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())


def names_in(text: str) -> set[str]:
    return {name.lower() for name in re.findall(r"PAPERLARK_([A-Z_]+)=", text)}


def test_the_example_of_settings_names_every_setting_and_no_other() -> None:
    passwords = {"postgres_password", "redis_password"}  # docker-compose.yml's own
    assert names_in((ROOT / ".env.example").read_text()) == set(Settings.model_fields) | passwords


def test_the_example_of_settings_changes_nothing_until_edited() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == []


def test_compose_passes_every_setting_on(compose: dict[str, Any]) -> None:
    passed = {name.removeprefix("PAPERLARK_").lower() for name in compose["x-environment"]}
    assert passed == set(Settings.model_fields) - NOT_IN_COMPOSE


def test_a_setting_left_empty_is_as_if_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.setenv(f"PAPERLARK_{name.upper()}", "")
    assert Settings() == Settings.model_construct()
    assert Settings().model_fields_set == set()


def test_every_service_of_ours_runs_as_nobody_special_and_is_looked_after(compose: dict[str, Any]) -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert re.search(r"^USER 10001$", dockerfile, re.MULTILINE)
    assert dockerfile.index("USER 10001") < dockerfile.index('CMD ["paperlark')
    for name in OURS:
        service = compose["services"][name]
        assert "user" not in service, name
        assert service["healthcheck"]["test"], name
        assert service["restart"] == "unless-stopped", name


def test_nothing_starts_before_what_it_needs(compose: dict[str, Any]) -> None:
    for name in OURS:
        assert compose["services"][name]["depends_on"] == {
            "postgres": {"condition": "service_healthy"},
            "redis": {"condition": "service_healthy"},
            "migrate": {"condition": "service_completed_successfully"},
        }
    migrate = compose["services"]["migrate"]
    assert migrate["restart"] == "no"
    assert migrate["command"] == ["paperlark", "migrate"]
    for name in ("postgres", "redis", "mailbox"):
        assert compose["services"][name]["healthcheck"]["test"], name


def test_redis_keeps_what_it_is_given_and_asks_for_a_password(compose: dict[str, Any]) -> None:
    command = compose["services"]["redis"]["command"][-1]
    for word in ("requirepass", "appendonly yes", "maxmemory-policy noeviction"):
        assert word in command


def test_only_pages_and_the_receiver_are_published_and_only_on_this_machine(compose: dict[str, Any]) -> None:
    published = {
        name: service["ports"] for name, service in compose["services"].items() if "ports" in service
    }
    assert set(published) == {"web", "mailbox", "inbound"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)


def test_every_queue_has_a_worker_and_confirmations_have_one_of_their_own(compose: dict[str, Any]) -> None:
    served = []
    for name in OURS:
        command = compose["services"][name]["command"]
        if "--queues" in command:
            served.append(command[command.index("--queues") + 1].split(","))
    assert sorted(queue for queues in served for queue in queues) == sorted(QUEUES)
    assert ["mail.transactional"] in served


def test_the_image_holds_only_what_is_named(compose: dict[str, Any]) -> None:
    lines = (ROOT / ".dockerignore").read_text().split()
    assert lines[0] == "*"  # secrets, data and the history of the code stay out
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    wanted = {name for names in copied for name in names.split()}
    assert {f"!{name}" for name in wanted} <= set(lines)
    assert all((ROOT / name).exists() for name in wanted)


def test_no_file_names_the_host_of_a_package_index() -> None:
    for name in ("constraints.txt", "pyproject.toml", "Makefile", "Dockerfile", ".ci/run"):
        text = (ROOT / name).read_text()
        assert not re.search(r"(index-url|files\.pythonhosted|/simple\b|artifactory)", text), name
        if name == "constraints.txt":
            assert "://" not in text
