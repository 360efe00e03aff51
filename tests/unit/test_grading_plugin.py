"""The plugin on tiny labs: verdicts, limits, hostile configurations, and what `lab check` may import."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from hello_k8s import paths
from hello_k8s.catalog import read_lab
from hello_k8s.errors import ClusterError
from hello_k8s.grading import Result, grade, guard, plugin, run
from hello_k8s.grading.attempt import Attempt
from hello_k8s.grading.verdict import Unmet


@pytest.fixture(autouse=True)
def english(monkeypatch):
    monkeypatch.setenv("HELLO_K8S_LANG", "en")


LAB = """
order = 1
needs = []
minutes = 1
deliverables = ["answer.txt"]
check = "{check}"
title = {{ ko = "작은", en = "tiny" }}
"""
CHECK = """
[checks.{id}]
points = 2
question = {{ ko = "{id}?", en = "{id}?" }}
hints = {{ ko = ["힌트"], en = ["a hint"] }}
"""


@pytest.fixture
def make_lab(tmp_path):
    """A lab from the text of its checks.py: one `[checks.…]` for each `def test_…`."""

    def make(checks, check="replay", solution="3", root=tmp_path / "labs", name="ch9/tiny"):
        folder = root / name
        for part in ("start", "solution"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        (folder / "solution/answer.txt").write_text(solution)
        (folder / "start/answer.txt").write_text("___")
        (folder / "checks.py").write_text(checks)
        ids = [line.split("test_")[1].split("(")[0] for line in checks.splitlines() if line.startswith("def test_")]
        (folder / "lab.toml").write_text(LAB.format(check=check) + "".join(CHECK.format(id=id) for id in ids))
        return read_lab(folder, root)

    return make


@pytest.fixture
def submitted(tmp_path):
    folder = tmp_path / "submission"
    folder.mkdir()
    (folder / "answer.txt").write_text("5")
    return folder


THREE = """
def test_three(submission):
    value = int(submission.text("answer.txt"))
    assert value < 4, f"{value} is too large"

def test_plain(submission):
    assert submission.text("answer.txt") == "3"
"""


def test_points_messages_and_hints(make_lab, submitted):
    lab = make_lab(THREE)
    assert grade(lab, lab.solution, kind="solution").passed
    wrong = grade(lab, submitted, kind="submission")
    assert (wrong.earned, wrong.possible, wrong.graded) == (0, 4, True)
    three, plain = wrong.checks
    assert three.message == {"ko": "5 is too large", "en": "5 is too large"}
    assert "'5' == '3'" in plain.message["en"]  # rewritten by pytest: both values can be read
    assert three.hints == ({"ko": "힌트", "en": "a hint"},)
    assert wrong.files["answer.txt"].startswith("sha256:")


def test_what_isnt_the_submissions_doing_is_ungraded(make_lab, submitted):
    lab = make_lab(
        "import pytest\n"
        "from hello_k8s.errors import ClusterError, EngineError\n"
        "@pytest.fixture\ndef broken():\n    raise EngineError(('docker', 'ps'), 'gone', 1)\n"
        "def test_bug():\n    {}['x']\n"
        "def test_engine(broken):\n    pass\n"
        "def test_cluster():\n    raise ClusterError('silent', next='start it')\n"
        "def test_skipped():\n    pytest.skip('later')\n"
        "def test_good():\n    pass\n"
    )
    result = grade(lab, submitted, kind="submission")
    verdicts = {check.id: check.verdict for check in result.checks}
    assert verdicts == {
        "bug": "errored",
        "engine": "errored",
        "cluster": "errored",
        "skipped": "errored",
        "good": "passed",
    }
    assert not result.graded and result.to_dict()["earned"] is None
    assert "KeyError" in result.checks[0].message["en"] and any("checks.py" in e for e in result.checks[0].evidence)
    assert "start it" in result.checks[2].message["en"]


def test_a_check_may_fail_as_pytest_says_it(make_lab, submitted):
    lab = make_lab(
        "import pytest\n"
        "@pytest.fixture\ndef broken():\n    pytest.fail('a fixture of ours')\n"
        "def test_a():\n    pytest.fail('no such user')\n"
        "def test_b(broken):\n    pass\n"
        "def test_c():\n    raise SystemExit(3)\n"
        "def test_d():\n    pass\n"
    )
    checks = grade(lab, submitted, kind="submission").checks
    assert [check.verdict for check in checks] == ["failed", "errored", "errored", "passed"]
    assert checks[0].message["en"] == "no such user"


def test_unmet_from_a_fixture_is_a_failure(make_lab, submitted):
    lab = make_lab(
        "import pytest\nfrom hello_k8s.grading import Unmet\n"
        "@pytest.fixture\ndef built():\n"
        "    raise Unmet({'ko': '안 됨', 'en': 'no'}, diagnosis=[{'ko': '원인', 'en': 'cause'}], evidence=['line 3'])\n"
        "def test_a(built):\n    pass\n"
    )
    (check,) = grade(lab, submitted, kind="submission").checks
    assert (check.verdict, check.message["ko"], check.evidence) == ("failed", "안 됨", ("line 3",))
    assert check.diagnosis == ({"ko": "원인", "en": "cause"},)


def test_what_no_file_can_hold_is_marked_in_the_result(make_lab, submitted):
    lab = make_lab(
        "from hello_k8s.grading import Unmet\n"
        "def test_a():\n"
        "    raise Unmet('said \\ud800', diagnosis=[{'ko': '\\udc00', 'en': 'x'}], evidence=['\\udfff'])\n"
        "def test_b():\n    said = '\\ud800'\n    assert not said, said\n"
    )
    result = grade(lab, submitted, kind="submission")
    assert [check.verdict for check in result.checks] == ["failed", "failed"]
    assert result.checks[0].message["ko"] == "said \ufffd" and "\ufffd" in result.checks[1].message["en"]
    assert result.checks[0].diagnosis[0]["ko"] == "\ufffd" and result.checks[0].evidence == ("\ufffd",)
    assert Result.from_json(result.to_json().encode().decode()).checks[0].message == result.checks[0].message


def test_who_changes_what_was_given_passes_nothing(make_lab, submitted, monkeypatch):
    lab = make_lab("def test_a():\n    pass\ndef test_b():\n    assert False, 'no'\n")
    told = {"ko": "바꾸었습니다", "en": "changed"}
    monkeypatch.setattr(Attempt, "tampered", lambda self: Unmet(told, evidence=["Pod/batch: deleted"]))
    passed, failed = grade(lab, submitted, kind="submission").checks
    assert (passed.verdict, passed.message, passed.diagnosis) == ("failed", told, ())
    assert passed.evidence == ("Pod/batch: deleted",)
    assert (failed.verdict, failed.message["en"], failed.diagnosis) == ("failed", "no", (told,))
    monkeypatch.setattr(Attempt, "tampered", lambda self: ClusterError("silent"))
    unseen, failed = grade(lab, submitted, kind="submission").checks
    assert (unseen.verdict, failed.verdict) == ("errored", "failed")


def test_eventually_ends_with_what_was_last_seen(make_lab, submitted):
    lab = make_lab(
        "seen = []\n"
        "def test_a(eventually):\n"
        "    def third():\n        seen.append(1)\n        assert len(seen) >= 3\n        return len(seen)\n"
        "    assert eventually(third, within=5) == 3\n"
        "def test_b(eventually):\n"
        "    def never():\n        assert 0, 'last thing'\n"
        "    eventually(never, within=0.2)\n"
    )
    good, bad = grade(lab, submitted, kind="submission").checks
    assert good.verdict == "passed"
    assert bad.verdict == "failed" and bad.message["en"] == "last thing (waited 0.2 s)"


def test_nothing_submitted(make_lab, tmp_path):
    lab = make_lab(THREE)
    (tmp_path / "empty").mkdir()
    result = grade(lab, tmp_path / "empty", kind="submission")
    assert {check.verdict for check in result.checks} == {"not_submitted"}
    assert result.graded and result.earned == 0 and "answer.txt" in result.checks[0].message["en"]


def test_a_link_is_not_a_submission(make_lab, tmp_path):
    lab = make_lab(THREE)
    folder = tmp_path / "linked"
    folder.mkdir()
    (folder / "answer.txt").symlink_to(lab.solution / "answer.txt")
    assert {check.verdict for check in grade(lab, folder, kind="submission").checks} == {"not_submitted"}


def test_a_mutant_is_laid_over_the_solution(make_lab, tmp_path):
    lab = make_lab(THREE)
    (tmp_path / "mutant").mkdir()
    assert grade(lab, tmp_path / "mutant", kind="mutant").passed
    (tmp_path / "mutant/answer.txt").write_text("9")
    assert grade(lab, tmp_path / "mutant", kind="mutant").earned == 0


SLOW = """
import time
def test_slow(submission):
    if submission.text("answer.txt") != "3" or {always}:
        time.sleep(30)
"""


@pytest.mark.parametrize(("always", "verdict"), [(False, "timed_out"), (True, "errored")])
def test_a_time_out_counts_only_if_the_solution_is_in_time(make_lab, submitted, monkeypatch, always, verdict):
    lab = make_lab(SLOW.format(always=always))
    monkeypatch.setattr(plugin, "CHECK_SECONDS", 0.3)
    # the solution is graded in another process, where the limit is the usual one
    if always:
        monkeypatch.setattr(run, "_CONFIRM_SECONDS", 6)
    result = grade(lab, submitted, kind="submission")
    assert result.checks[0].verdict == verdict and result.graded == (verdict == "timed_out")
    assert result.checks[0].earned == 0


def test_checks_and_lab_toml_must_name_the_same(make_lab, submitted):
    lab = make_lab(THREE)
    (lab.folder / "checks.py").write_text(THREE + "\ndef test_more():\n    pass\n")
    result = grade(lab, submitted, kind="submission")
    assert not result.graded and "more" in result.checks[0].message["en"]


def test_a_checks_file_that_cant_be_read_is_ungraded(make_lab, submitted):
    lab = make_lab(THREE)
    (lab.folder / "checks.py").write_text("def test_three(:\n")
    result = grade(lab, submitted, kind="submission")
    assert not result.graded and "checks.py" in result.checks[0].message["en"]
    (lab.folder / "checks.py").write_text(THREE)
    assert grade(lab, lab.solution, kind="solution").passed


def test_the_environment_changes_nothing(make_lab, monkeypatch):
    lab = make_lab(THREE)
    monkeypatch.setenv("PYTEST_ADDOPTS", "--collect-only")
    monkeypatch.setenv("PYTEST_PLUGINS", "no_such_plugin")
    assert grade(lab, lab.solution, kind="solution").passed
    assert os.environ["PYTEST_ADDOPTS"] == "--collect-only" and "PYTEST_DISABLE_PLUGIN_AUTOLOAD" not in os.environ


def test_what_a_check_prints_is_kept_and_not_shown(make_lab, submitted, capfd):
    lab = make_lab("def test_a():\n    print('seen by the check')\n    assert 0\n")
    result = grade(lab, submitted, kind="submission")
    assert "seen by the check" in result.checks[0].output
    assert "seen by the check" not in "".join(capfd.readouterr())


# -- plain pytest, in the repository


@pytest.fixture
def repository(make_lab, tmp_path):
    """A checkout with one lab in it, and pytest in it: the real one's labs are other tests' business."""
    root = tmp_path / "checkout"
    left_out = shutil.ignore_patterns("__pycache__", "booktools", "cli", "data")
    shutil.copytree(paths.ROOT / "hello_k8s", root / "hello_k8s", ignore=left_out)
    shutil.copy(paths.ROOT / "pyproject.toml", root)
    make_lab(THREE, root=root / "labs")

    def run_pytest(*arguments):
        environment = {
            "HELLO_K8S_LANG": "en",
            "HELLO_K8S_WORKSPACE": str(root / "workspace"),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        }
        return subprocess.run(
            [sys.executable, "-m", "pytest", *arguments],
            cwd=root,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=120,
        )

    run_pytest.root = root
    return run_pytest


def test_plain_pytest_grades_the_workspace_and_one_submission(repository, submitted, tmp_path):
    nothing = repository("labs/ch9/tiny")
    assert nothing.returncode == 1 and "lab start ch9/tiny" in nothing.stdout, nothing.stdout
    file = tmp_path / "result.json"
    done = repository("labs/ch9/tiny", f"--submission={submitted}", f"--result={file}")
    assert done.returncode == 1, done.stdout
    assert "5 is too large" in done.stdout and "ch9/tiny: 0 of 4 points" in done.stdout
    assert "a hint" not in done.stdout
    assert json.loads(file.read_text())["checks"][0]["hints"] == [{"ko": "힌트", "en": "a hint"}]
    (submitted / "answer.txt").write_text("3")
    good = repository("labs/ch9/tiny", f"--submission={submitted}")
    assert good.returncode == 0 and "ch9/tiny: 4 of 4 points" in good.stdout
    (tmp_path / "jo/ch9").mkdir(parents=True)  # the whole of what `lab pack` makes
    (tmp_path / "jo/learner.toml").write_text('id = "jo"\nseed = 7\n')
    submitted.rename(tmp_path / "jo/ch9/tiny")
    whole = repository("labs/ch9/tiny", f"--submission={tmp_path / 'jo'}")
    assert whole.returncode == 0 and "ch9/tiny: 4 of 4 points" in whole.stdout, whole.stdout
    both = repository("labs/ch9/tiny", f"--submission={tmp_path / 'jo'}", "--as-submitted")
    assert both.returncode == 4 and "can't be combined" in both.stderr


@pytest.mark.parametrize("planted", ["conftest.py", "pytest.ini"])
def test_a_submission_cant_configure_its_own_grading(repository, make_lab, submitted, tmp_path, planted):
    mark = tmp_path / "was-run"
    code = f"open({str(mark)!r}, 'w')\n"
    (submitted / "evil.py").write_text(code)
    (submitted / planted).write_text(
        code
        if planted == "conftest.py"
        else "[pytest]\npythonpath = .\naddopts = -p evil -p hello_k8s.grading.plugin\n"
    )
    lab = make_lab(THREE)
    # as it should be called, nothing of the submission is read
    good = repository("labs/ch9/tiny", f"--submission={submitted}")
    assert "0 of 4 points" in good.stdout and not mark.exists(), good.stdout + good.stderr
    assert grade(lab, submitted, kind="submission").earned == 0 and not mark.exists()
    # as an instructor may call it by mistake, pytest takes it up, and the plugin refuses to go on
    loaded = ["-p", "hello_k8s.grading.plugin"]
    if planted == "conftest.py":
        loaded += ["-c", "pyproject.toml", f"--rootdir={repository.root}", str(submitted)]
    bad = repository("--submission", str(submitted), "labs/ch9/tiny", *loaded)
    assert bad.returncode == 4 and "outside the repository" in bad.stderr, bad.stdout + bad.stderr
    if planted == "conftest.py":
        assert not mark.exists()


def test_the_learners_folder_of_the_repository_is_outside_too(tmp_path, monkeypatch):
    monkeypatch.setenv("HELLO_K8S_WORKSPACE", str(paths.ROOT / "workspace"))
    assert guard.inside(paths.ROOT / "labs/ch1/x/conftest.py")
    assert not guard.inside(paths.ROOT / "workspace/ch1/x/conftest.py")
    assert not guard.inside(tmp_path / "conftest.py")


def test_lab_check_imports_no_large_client(make_lab, tmp_path):
    lab = make_lab(
        "from fake import replace\nreplace()\n"
        "def test_a(http, objects, eventually, submission):\n"
        "    eventually(lambda: objects.list('Pod'))\n"
        "    assert http('back')[0].status == 200\n",
        check="look",
    )
    text = (lab.folder / "lab.toml").read_text().replace("needs = []", 'needs = ["cluster"]')
    (lab.folder / "lab.toml").write_text(text)
    (tmp_path / "fake.py").write_text(FAKE)
    script = (
        "import sys, hello_k8s.cli, hello_k8s.workspace, hello_k8s.catalog as c; from pathlib import Path\n"
        "from hello_k8s.grading import grade\n"
        f"lab = c.read_lab(Path({str(lab.folder)!r}), Path({str(lab.folder.parent.parent)!r}))\n"
        "result = grade(lab, lab.solution)\n"
        "assert result.passed, result.to_json()\n"
        "print([name for name in ('kubernetes', 'docker', 'httpx', 'requests') if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=paths.ROOT,
        env={**os.environ, "PYTHONPATH": f"{paths.ROOT}:{tmp_path}"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


FAKE = '''
"""A cluster that says yes, below everything that `lab check` imports."""
import json
from hello_k8s.machine import cluster
from hello_k8s.machine.kubeapi import Response


class Api:
    def read(self, kind, name, namespace=None):
        return {"metadata": {"name": name}}

    def list(self, kind, namespace=None, labels=None):
        return []

    def pod_proxy(self, *_):
        item = {"status": 200, "body": "", "error": "", "seconds": 0, "headers": {}}
        return Response(200, {}, json.dumps([item]).encode())


def replace():
    cluster.Cluster.status = lambda self: "running"
    cluster.Cluster.api = lambda self: Api()
'''


def test_ctrl_c_in_a_check_removes_what_the_grading_made(make_lab, monkeypatch):
    closed = []
    close = Attempt.close
    monkeypatch.setattr(Attempt, "close", lambda attempt: closed.append(attempt.lab.id) or close(attempt))
    lab = make_lab("def test_one(submission):\n    raise KeyboardInterrupt\n\n\ndef test_two():\n    pass\n")
    with pytest.raises(KeyboardInterrupt):
        grade(lab, lab.solution, kind="solution")
    assert closed == [lab.id]


def test_what_was_waited_for_is_said_in_each_language(make_lab, submitted):
    lab = make_lab("def test_a(eventually):\n    eventually(lambda: False, within=0.1)\n")
    (check,) = grade(lab, submitted, kind="submission").checks
    assert "(waited 0.1 s)" in check.message["en"]
    assert "waited" not in check.message["ko"] and "0.1" in check.message["ko"]


def test_what_keeps_a_grading_from_beginning_is_said(make_lab, submitted, monkeypatch):
    """Not "the process was lost": somebody may be able to mend it."""

    def refused(*_):
        raise PermissionError(13, "Permission denied", str(submitted / "answer.txt"))

    monkeypatch.setattr("hello_k8s.grading.attempt.nonce_of", refused)
    result = grade(make_lab(THREE), submitted, kind="submission")
    assert {check.verdict for check in result.checks} == {"errored"}
    assert all(str(submitted / "answer.txt") in check.message["en"] for check in result.checks)
