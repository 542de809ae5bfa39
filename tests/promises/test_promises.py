"""Every promise of SECURITY.md has its tests, and every promise that is tested stands there."""

from __future__ import annotations

import ast
import re

import pytest

from support.source_tree import ROOT, tree

SECURITY = (ROOT / "SECURITY.md").read_text()
PROMISED = re.findall(r"^- \*\*([a-z-]+)\*\*: ", SECURITY, re.MULTILINE)
EXECUTED, LEAVES, VERSIONS, GOLDEN = (
    *("tests/promises/test_never_executed.py::", "tests/promises/test_leaves_nothing.py::"),
    *("tests/promises/test_versions.py::", "tests/golden/test_golden.py::"),
)

TESTS = {
    "cases-open": (
        VERSIONS + "test_what_is_written_today_is_what_the_code_writes",
        VERSIONS + "test_of_every_version_of_a_case_a_zip_is_kept",
        VERSIONS + "test_the_steps_of_the_store_are_those_that_ship_and_the_oldest_store_has_one_of_them",
        GOLDEN + "test_the_store_opens_with_every_case",
        GOLDEN + "test_a_zip_holds_the_case_that_the_store_holds",
        "tests/cases/test_case_files.py::test_hostile_zips_are_refused_in_one_sentence",
        "tests/cases/test_cases.py::test_a_store_of_a_newer_version_is_left_alone",
    ),
    "links-open": (
        VERSIONS + "test_a_link_means_by_each_key_what_the_pages_read",
        GOLDEN + "test_a_link_leads_to_its_case_and_back",
        GOLDEN + "test_a_link_that_is_short_or_wrong_falls_back_as_it_did",
        GOLDEN + "test_the_app_opens_a_link_and_writes_the_same_one",
        GOLDEN + "test_every_lesson_has_its_steps_pages_and_cases",
        GOLDEN + "test_every_page_keeps_its_address",
    ),
    "bundles-open": (
        VERSIONS + "test_what_is_written_today_is_what_the_code_writes",
        VERSIONS + "test_of_every_format_of_a_bundle_one_is_kept_from_the_version_that_is_named",
        "tests/golden/test_golden_bundle.py::test_it_is_described_as_bundles_were_then",
        "tests/golden/test_golden_bundle.py::test_it_says_of_an_image_what_it_said_then",
        "tests/models/test_wrap.py::test_specs_of_older_bundles_are_read",
        "tests/bundle/test_bundle_store.py::test_another_format_version_is_named",
    ),
    "damage-is-seen": (
        "tests/bundle/test_bundle_store.py::test_every_single_changed_byte_is_found",
        "tests/bundle/test_bundle_store.py::test_damage_is_seen_at_load_even_after_an_earlier_load",
    ),
    "no-unpickling": (
        EXECUTED + "test_these_rules_see_what_they_are_for",
        EXECUTED + "test_nothing_that_is_read_can_run",
        EXECUTED + "test_torch_reads_weights_alone",
    ),
    "weights-alone": (
        EXECUTED + "test_torch_reads_weights_alone",
        "tests/models/test_state_files.py::test_nothing_that_could_run_is_read",
        "tests/models/test_state_files.py::test_programs_are_refused_by_what_is_in_them_whatever_their_name",
    ),
    "named-code-only": (
        EXECUTED + "test_code_by_name_is_run_by_what_asks_who_has_named_it_and_nothing_else",
        EXECUTED + "test_a_strangers_file_of_settings_is_no_naming",
        "tests/models/test_code.py::test_code_that_nobody_named_here_never_runs",
        "tests/models/test_code.py::test_what_the_variable_names_may_run",
        "tests/models/test_fine_tuned.py::test_code_that_a_file_names_runs_only_where_its_owner_has_named_it",
    ),
    "changed-code-asks": ("tests/models/test_code.py::test_changed_code_does_not_run_until_told_to",),
    "no-code-from-the-hub": (
        "tests/models/test_hub.py::test_pickled_weights_missing_heads_and_foreign_code_are_refused",
        "tests/models/test_hub.py::test_settings_from_a_bundle_bring_no_code",
        "tests/models/test_hub.py::test_a_hub_that_cannot_be_reached_is_one_sentence",
    ),
    "cases-run-nothing": (
        "tests/cases/test_case_files.py::test_what_is_not_read_cannot_harm",
        "tests/cases/test_case_files.py::test_a_report_escapes_what_strangers_wrote",
        "tests/base/test_csv_cells.py::test_what_a_spreadsheet_would_run_is_shown_as_text",
    ),
    "known-scripts-only": (
        "tests/app/test_security_headers.py::test_nothing_comes_from_elsewhere_and_no_script_but_those_known_here",
        "tests/app/test_security_headers.py::test_pages_run_no_other_script",
        "tests/app/test_no_network.py::test_a_running_server_sends_the_headers_and_tells_strangers_nothing",
    ),
    "pictures-apart": (
        "tests/app/test_strangers_pictures.py::test_an_upload_is_decoded_elsewhere",
        "tests/app/test_strangers_pictures.py::test_a_pasted_link_is_decoded_elsewhere_too",
        "tests/app/test_strangers_pictures.py::test_pictures_of_a_strangers_case_are_decoded_elsewhere_too",
        "tests/models/test_decoders.py::test_a_limited_process_knows_no_secrets_and_may_write_nothing",
    ),
    "nothing-leaves": (
        LEAVES + "test_these_rules_see_what_they_are_for",
        LEAVES + "test_only_these_files_could_reach_another_machine",
        "tests/app/test_no_network.py::test_no_command_looks_anything_up",
        "tests/app/test_no_network.py::test_pages_an_upload_and_the_camera_work_without_a_network_and_without_a_complaint",
    ),
    "no-statistics": (
        "tests/app/test_server.py::test_the_configuration_is_that_of_a_public_server_and_loads_nothing_from_elsewhere",
    ),
    "this-machine-only": (
        LEAVES + "test_worker_processes_listen_on_this_machine_alone",
        "tests/cli/test_app_command.py::test_it_listens_on_this_machine_alone_unless_told_otherwise",
        "tests/base/test_remote_address.py::test_another_machine_without_tls_wants_leave",
        "tests/base/test_remote_losses.py::test_who_has_no_certificate_is_not_let_in",
    ),
    "workers-equal": (
        "tests/base/test_remote_address.py::test_an_equal_worker_is_accepted_and_every_difference_is_a_refusal",
        "tests/base/test_remote_losses.py::test_a_worker_with_other_code_is_refused_by_name",
        "tests/base/test_remote_files.py::test_nothing_is_put_in_place_that_was_changed_on_the_way_or_not_asked_for",
        "tests/base/test_remote_files.py::test_a_file_arrives_in_pieces_and_only_as_announced",
    ),
    "no-secrets-told": (
        "tests/cases/test_cases.py::test_other_databases_are_refused_without_telling_the_password",
        "tests/cases/test_cases.py::test_hosts_addresses_mean_psycopg",
        "tests/app/test_security_headers.py::test_metrics_are_for_whoever_shows_the_owners_token",
        "tests/app/test_no_network.py::test_a_running_server_sends_the_headers_and_tells_strangers_nothing",
    ),
    "read-only-leaves-nothing": (
        "tests/cases/test_cases.py::test_a_read_only_server_says_so_whatever_else_is_set",
        "tests/cases/test_picture_store.py::test_a_read_only_server_keeps_pictures_for_itself_alone_and_no_longer_than_it_runs",
        "tests/app/test_pages_cases.py::test_where_saving_is_switched_off_cases_can_be_read_only",
    ),
    "uploads-private": ("tests/cases/test_picture_store.py::test_nobody_else_can_look_at_what_people_uploaded",),
    "pages-without-torch": (
        "tests/repository/test_repository.py::test_pages_compute_nothing",
        "tests/app/test_pages_real.py::test_pages_never_import_torch",
        "tests/app/test_server.py::test_a_real_start_serves_at_once_reports_readiness_and_leaves_no_process",
    ),
}
NODES = sorted({node for nodes in TESTS.values() for node in nodes})


def test_every_promise_has_its_tests_and_no_test_a_promise_that_is_not_made() -> None:
    assert len(PROMISED) >= 20 and len(set(PROMISED)) == len(PROMISED)
    assert set(PROMISED) ^ set(TESTS) == set()
    assert all(TESTS.values())


def test_no_line_of_the_promises_is_without_a_name() -> None:
    promises = SECURITY.partition("## Promises\n")[2].partition("\n## ")[0]
    lines = [line for line in promises.splitlines() if line.startswith("- ")]
    assert len(lines) == len(PROMISED)


def skipped(function: ast.FunctionDef) -> bool:
    return any("skip" in ast.unparse(mark) or "xfail" in ast.unparse(mark) for mark in function.decorator_list)


@pytest.mark.parametrize("node", NODES)
def test_every_test_that_is_named_is_there_and_runs(node: str) -> None:
    file, _, name = node.partition("::")
    found = [part for part in tree(ROOT / file).body if isinstance(part, ast.FunctionDef) and part.name == name]
    assert len(found) == 1 and not skipped(found[0])


def test_the_policy_for_findings_is_what_the_list_and_the_script_do() -> None:
    policy = SECURITY.partition("## Dependencies\n")[2]
    script = (ROOT / ".ci" / "audit.py").read_text()
    (days,) = re.findall(r"timedelta\(days=(\d+)\)", script)
    assert f"leaves it out for {days} days" in policy
    assert "`.ci/accepted-vulnerabilities.toml`" in policy and "accepted-vulnerabilities.toml" in script


@pytest.mark.parametrize("document", ["README.md", "docs/deploying.md"])
def test_whoever_starts_reading_finds_it(document: str) -> None:
    assert re.search(r"\]\((?:\.\./)?SECURITY\.md[)#]", (ROOT / document).read_text())


def test_the_proxy_of_the_guide_limits_requests_connections_and_slow_senders() -> None:
    nginx = (ROOT / "docs" / "deploying.md").read_text().partition("```nginx\n")[2].partition("```")[0]
    for kind in ("req", "conn"):
        zones = re.findall(rf"^limit_{kind}_zone\s+\$binary_remote_addr zone=(\w+):\d+m", nginx, re.MULTILINE)
        used = re.findall(rf"^\s+limit_{kind}\s+(?:zone=)?(\w+) ", nginx, re.MULTILINE)
        assert zones == used and len(used) == 1
        assert re.search(rf"limit_{kind}_status\s+429;", nginx)
    assert re.search(r"rate=\d+r/s", nginx) and re.search(r"burst=\d+", nginx)
    assert re.search(r"client_header_timeout \d+s;", nginx) and re.search(r"client_body_timeout\s+\d+s;", nginx)
    (most,) = re.findall(r"client_max_body_size (\d+)m;", nginx)
    assert int(most) >= 10, "uploads pass"
