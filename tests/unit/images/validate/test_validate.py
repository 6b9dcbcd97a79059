"""What is asked of an image, what counts as a pass, and what is remembered; without an engine."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime

import pytest

from aksci.config.models import ValidateConfig
from aksci.core.errors import (
    ConfigError,
    DockerError,
    Interrupted,
    RegistryError,
    ValidationError,
)
from aksci.core.git import Tracked
from aksci.core.work_folder import WorkFolder
from aksci.images.validate.checks import Check, plan_check, spec_hash
from aksci.images.validate.image_runner import LOG_LINES, CheckOutcome, end_of
from aksci.images.validate.own_validations import OwnValidations
from aksci.images.validate.result import Validation, judge, store
from aksci.images.validate.validator import Validator
from aksci.oci.manifest import OCI_INDEX
from aksci.oci.references import ImageRef
from aksci.testing.memory_registry import MemoryRegistry
from aksci.testing.reporter import RecordingReporter
from aksci.testing.sample_images import push_sample

MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def plan(runs, **config):
    return plan_check("app", ValidateConfig(**config), {"config": runs})


def test_a_configured_command_comes_before_all_that_the_image_says():
    runs = {"Entrypoint": ["a"], "Cmd": ["b"], "Healthcheck": {"Test": ["CMD", "c"]}}
    check = plan(runs, command=("x", "y"), env={"A": "1"}, timeout=7)
    assert (check.kind, check.argv, check.probe) == ("command", ("x", "y"), ())
    assert (check.env, check.timeout) == ({"A": "1"}, 7)


@pytest.mark.parametrize(
    ("healthcheck", "shell", "probe"),
    [
        ({"Test": ["CMD", "curl", "-f", "x"]}, None, ("curl", "-f", "x")),
        ({"Test": ["CMD-SHELL", "curl -f x"]}, None, ("/bin/sh", "-c", "curl -f x")),
        ({"Test": ["CMD-SHELL", "x"]}, ["/bin/bash", "-ec"], ("/bin/bash", "-ec", "x")),
        ({"Test": ["NONE"]}, None, ()),
        ({"Test": []}, None, ()),
        ({"Test": None}, None, ()),
        ({}, None, ()),
        (None, None, ()),
        ("damaged", None, ()),
    ],
)
def test_a_healthcheck_is_read_in_each_of_its_forms(healthcheck, shell, probe):
    check = plan({"Cmd": ["serve"], "Healthcheck": healthcheck, "Shell": shell})
    assert check.probe == probe
    assert check.kind == ("health" if probe else "start")


def test_one_attempt_has_the_healthchecks_time_out_or_dockers_default():
    def seconds(timeout):
        healthcheck = {"Test": ["CMD", "x"], "Timeout": timeout}
        return plan({"Cmd": ["serve"], "Healthcheck": healthcheck}).probe_timeout

    assert [seconds(each) for each in (5_000_000_000, 0, None)] == [5, 30, 30]


def test_a_configured_health_command_replaces_the_healthcheck():
    runs = {"Entrypoint": ["a"], "Cmd": ["b"], "Healthcheck": {"Test": ["CMD", "c"]}}
    check = plan(runs, health=("h",))
    assert (check.kind, check.argv, check.probe) == ("health", ("a", "b"), ("h",))


def test_health_without_a_process_is_a_mistake():
    with pytest.raises(ConfigError, match=r"images\.app\.validate\.health"):
        plan({}, health=("h",))


@pytest.mark.parametrize("runs", [{}, None, {"Entrypoint": None, "Cmd": []}])
def test_without_entrypoint_and_cmd_there_is_nothing_to_run(runs):
    assert plan(runs).kind == "nothing"
    assert plan(runs, command=("x",)).kind == "command"


@pytest.mark.parametrize(
    ("user", "unprivileged"),
    [("1000", True), ("1000:0", True), ("0", False), ("0:1000", False), ("", False),
     ("app", False), (None, False), ("00", False)],
)  # fmt: skip
def test_only_a_number_other_than_0_is_known_not_to_be_root(user, unprivileged):
    assert plan({"Cmd": ["x"], "User": user}).unprivileged is unprivileged


def test_the_hash_covers_everything_that_is_configured():
    configs = [
        {}, {"command": ("a",)}, {"health": ("a",)}, {"env": {"A": "1"}}, {"timeout": 5},
    ]  # fmt: skip
    assert len({spec_hash(ValidateConfig(**each)) for each in configs}) == len(configs)


def outcome(**values):
    return CheckOutcome(**{"engine": "docker 20", "started": True, **values})


@pytest.mark.parametrize(
    ("kind", "seen", "passed", "finding"),
    [
        ("command", {"exit_code": 0}, True, "its command ends with status 0"),
        ("command", {"exit_code": 2}, False, "its command a 'b c' ended with status 2"),
        ("command", {}, False, "its command a 'b c' did not end within 60 s"),
        (
            "command",
            {"exit_code": 137, "out_of_memory": True},
            False,
            "its command a 'b c' was ended for using too much memory (status 137)",
        ),
        ("health", {"healthy": True, "seconds": 3}, True, "its health check passes after 3.0 s"),
        ("health", {}, False, "its health check p did not pass within 60 s"),
        (
            "health",
            {"probe_output": "503"},
            False,
            "its health check p did not pass within 60 s; its last output: 503",
        ),
        (
            "health",
            {"exit_code": 0},
            False,
            "its process ended with status 0 before its health check p could pass",
        ),
        ("start", {}, True, "its process starts and keeps running"),
        ("start", {"exit_code": 0}, True, "its process starts, and ended with status 0 by itself"),
        ("start", {"exit_code": 1}, True, "its process starts, and ended with status 1 by itself"),
        (
            "start",
            {"exit_code": 126},
            False,
            "its process can't be executed: it ended with status 126",
        ),
        (
            "start",
            {"exit_code": 127},
            False,
            "its process can't be executed: it ended with status 127",
        ),
        ("start", {"started": False, "refusal": "why"}, False, "it can't be started: why"),
    ],
)  # fmt: skip
def test_an_outcome_is_judged(kind, seen, passed, finding):
    check = Check(kind=kind, argv=("a", "b c"), probe=("p",))
    assert judge(check, outcome(**seen)) == (passed, finding)


@pytest.mark.parametrize(
    ("log", "passed"),
    [
        ("exec /usr/bin/app: exec format error", False),
        ("exec /usr/bin/app: no such file or directory", False),
        ("standard_init_linux.go:228: exec user process caused: exec format error", False),
        ("exec /usr/bin/other: exec format error", True),
        ("open /usr/bin/app: no such file or directory", True),
        ("hello\nexec /usr/bin/app: exec format error", True),
        ("", True),
    ],
)
def test_the_runtimes_own_line_tells_that_the_program_was_never_executed(log, passed):
    check = Check(kind="start", argv=("app",))
    assert judge(check, outcome(exit_code=1, log=log))[0] is passed


def test_the_end_of_a_log_is_bounded_and_harmless():
    text = "\n".join(f"line {number}" for number in range(1000)) + "\n\n##vso[x]\r" + "y" * 9999
    lines = end_of(text).splitlines()
    assert len(lines) == LOG_LINES
    assert lines[-2] == "# #vso[x]"
    assert len(lines[-1]) == 500


def put(registry, document):
    """Store a manifest, whatever is in it; return its digest."""
    media_type = OCI_INDEX if "manifests" in document else MANIFEST
    return registry.plant("app", json.dumps(document).encode(), media_type=media_type)


def store_image(registry, runs, architecture="amd64"):
    return push_sample(registry, "app", runs=runs, platform=f"linux/{architecture}").digest


def results(registry):
    """Return all results of validations that are stored."""
    return [
        json.loads(content)
        for content in registry.store.blobs["app"].values()
        if b'"passed"' in content
    ]


class ListedEngine:
    """An engine with one answer, that counts and shows how many run at once."""

    def __init__(self, answer=None, native=("linux/amd64",)):
        self.answer = answer or outcome()
        self.native = native
        self.tasks = []
        self.at_once = self.most = 0
        self.closed = False
        self._lock = threading.Lock()
        self.gate = threading.Event()
        self.gate.set()

    def platforms(self):
        return self.native

    def run(self, task, _halt):
        with self._lock:
            self.tasks.append(task)
            self.at_once += 1
            self.most = max(self.most, self.at_once)
        self.gate.wait(0.05)
        with self._lock:
            self.at_once -= 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def close(self):
        self.closed = True


@pytest.fixture
def registry():
    return MemoryRegistry("r:1")


@pytest.fixture
def notes():
    return RecordingReporter()


@pytest.fixture
def own(tmp_path):
    """What runs of this project have seen; each call is another run's look."""

    def look(brought=(), **given):
        work = WorkFolder(tmp_path / ".aksci", tracked=lambda: Tracked(files=brought))
        return OwnValidations(work, **given)

    return look


@pytest.fixture
def make(registry, notes, own):
    def validator(engine, configs=None, **options):
        return Validator(
            registry=registry,
            make_engine=engine if callable(engine) else lambda: engine,
            configs=configs or {},
            own=options.pop("own", None) or own(),
            reporter=notes,
            now=lambda: datetime(2026, 1, 1, tzinfo=UTC),
            run="r1",
            **options,
        )

    return validator


def ref(digest):
    return ImageRef("r:1", "app", digest)


def test_a_pass_is_remembered_by_digest_and_by_what_was_asked(make, registry):
    image = ref(store_image(registry, {"Cmd": ["x"]}))
    engine = ListedEngine(outcome(exit_code=0))
    first = make(engine).check("app", image)
    again = make(engine).check("app", image)
    assert (first.remembered, again.remembered) == (False, True)
    assert again.finding == first.finding
    changed = {"app": ValidateConfig(command=("y",))}
    assert not make(engine, changed).check("app", image).remembered
    other = ref(store_image(registry, {"Cmd": ["z"]}))
    assert not make(engine).check("app", other).remembered
    assert len(engine.tasks) == 3


def planted(registry, image, **config):
    """Store a passing result as ours is, in the name of whoever may push."""
    spec = spec_hash(ValidateConfig(**config))
    result = Validation(image="app", ref=image, passed=True, finding="planted", spec=spec)
    return store(registry, result, run="r1", now=datetime(2026, 1, 1, tzinfo=UTC))


def test_a_planted_passing_result_is_not_trusted_and_the_image_is_run(make, registry):
    image = ref(store_image(registry, {"Cmd": ["x"]}))
    planted(registry, image)
    engine = ListedEngine(outcome(started=False, refusal="why"))
    for attempt in (make(engine).check_all, make(engine, signed=lambda *_: False).check_all):
        with pytest.raises(ValidationError, match="does not run as it must"):
            attempt({"app": image})
    assert len(engine.tasks) == 2


def test_what_a_trusted_signature_covers_is_not_run_and_can_be_signed_again(make, registry, own):
    image, asked = ref(store_image(registry, {"Cmd": ["x"]})), []

    def signed(*question):
        asked.append(question)
        return True

    nobody = make(lambda: pytest.fail("nothing had to be run"), signed=signed)
    result = nobody.check_all({"app": image})["app"]
    assert (result.passed, result.remembered) == (True, True)
    spec = spec_hash(ValidateConfig())
    assert asked == [(image, spec)]
    assert own().find("app", image, spec)


def test_a_signature_over_another_check_does_not_count(make, registry):
    """A check that the project asks since yesterday was never made of yesterday's image."""
    image = ref(store_image(registry, {"Cmd": ["x"]}))
    before = spec_hash(ValidateConfig())
    engine = ListedEngine(outcome(exit_code=0))
    stricter = {"app": ValidateConfig(command=("y",))}
    planted(registry, image, command=("y",))
    make(engine, stricter, signed=lambda _, spec: spec == before).check_all({"app": image})
    assert len(engine.tasks) == 1


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"\xff", b'{"schema": 2, "passed": {}}', b'{"schema": 1, "passed": []}',
     b'{"schema": 1, "passed": {"r:1/app@x": {"s": {"finding": "no digest"}}}}'],
)  # fmt: skip
def test_a_damaged_memory_knows_of_no_pass_and_is_written_anew(make, registry, tmp_path, content):
    (tmp_path / ".aksci").mkdir()
    (tmp_path / ".aksci/validations.json").write_bytes(content)
    engine = ListedEngine()
    image = ref(store_image(registry, {"Cmd": ["x"]}))
    assert not make(engine).check("app", image).remembered
    assert make(engine).check("app", image).remembered
    assert len(engine.tasks) == 1


def test_a_memory_that_git_brings_with_the_sources_knows_of_no_pass(make, registry, own):
    image = ref(store_image(registry, {"Cmd": ["x"]}))
    engine = ListedEngine()
    make(engine).check("app", image)
    assert not make(engine, own=own(brought=("validations.json",))).check("app", image).remembered
    assert len(engine.tasks) == 2


def test_two_sessions_at_once_forget_nothing_and_the_oldest_images_go_first(registry, own):
    first, second = own(most=8), own(most=8)
    images = [ref(store_image(registry, {"Cmd": [str(number)]})) for number in range(10)]
    assert first.find("app", images[0], "s") is None  # it has read the file now
    for number, image in enumerate(images):
        result = Validation(image="app", ref=image, passed=True, finding="f", spec="s")
        (second if number % 2 else first).add(result)
    known = [own().find("app", image, "s") is not None for image in images]
    assert known == [False, False, *[True] * 8]


def test_a_failure_is_stored_and_asked_again(make, registry):
    image = ref(store_image(registry, {"Cmd": ["x"]}))
    engine = ListedEngine(outcome(started=False, refusal="why"))
    for _ in range(2):
        with pytest.raises(ValidationError, match=r"app does not run as it must: .*why"):
            make(engine).check("app", image)
    assert len(engine.tasks) == 2
    documents = results(registry)
    assert {each["passed"] for each in documents} == {False}
    assert documents[0]["run"] == "r1"


def test_no_engine_is_made_before_something_must_be_run(make, registry):
    data = ref(store_image(registry, {}))
    skipped = {"skipped": ValidateConfig(skip=True)}
    validator = make(lambda: pytest.fail("nothing had to be run"), skipped)
    assert validator.check("data", data).stored
    assert validator.check("skipped", ref("sha256:" + "0" * 64)).stored is None
    validator.close()


def test_an_engine_that_cannot_be_made_is_asked_for_once(make, registry):
    asked = []

    def engine():
        asked.append(1)
        raise DockerError("it is not there")

    validator = make(engine)
    for number in range(3):
        image = ref(store_image(registry, {"Cmd": [str(number)]}))
        with pytest.raises(DockerError):
            validator.check("app", image)
    assert len(asked) == 1


def test_an_engine_is_made_once_and_closed(make, registry):
    made = []

    def engine():
        made.append(ListedEngine())
        return made[-1]

    validator = make(engine)
    images = {f"i{n}": ref(store_image(registry, {"Cmd": [str(n)]})) for n in range(20)}
    assert list(validator.check_all(images)) == sorted(images)
    validator.close()
    (one,) = made
    assert one.closed
    assert len(one.tasks) == 20
    assert one.most <= 2


def test_nothing_is_run_after_a_stop(make, registry):
    validator = make(lambda: pytest.fail("it was stopped"))
    validator.stop()
    with pytest.raises(Interrupted):
        validator.check("app", ref(store_image(registry, {"Cmd": ["x"]})))


def test_a_pull_that_fails_stores_nothing_and_is_no_failed_validation(make, registry):
    image = ref(store_image(registry, {"Cmd": ["x"]}))
    with pytest.raises(RegistryError):
        make(ListedEngine(RegistryError("no"))).check_all({"app": image})
    assert results(registry) == []


def index(registry, *platforms):
    entries = [
        {"digest": store_image(registry, {"Cmd": [each]}, each), "platform": {"os": "linux"}}
        for each in platforms
    ]
    attestation = {
        "digest": put(registry, {"layers": []}),
        "platform": {"os": "unknown", "architecture": "unknown"},
        "annotations": {"vnd.docker.reference.type": "attestation-manifest"},
    }
    return ref(put(registry, {"manifests": [*entries, attestation]}))


@pytest.mark.parametrize("platform", [{"os": "linux", "architecture": "amd64"}, None])
def test_what_a_machine_runs_is_validated_whatever_its_annotations_call_it(
    make, registry, platform
):
    """It is scanned, too: what is neither scanned nor validated must be what nothing runs."""
    entry = {
        "digest": store_image(registry, {"Cmd": ["x"]}),
        "platform": platform,
        "annotations": {"vnd.docker.reference.type": "attestation-manifest"},
    }
    engine = ListedEngine()
    image = ref(put(registry, {"manifests": [entry]}))
    assert make(engine).check("app", image).passed
    assert len(engine.tasks) == 1


def test_the_engines_platform_of_several_is_run(make, registry):
    engine = ListedEngine()
    image = index(registry, "arm64", "amd64")
    assert make(engine).check("app", image).platform == "linux/amd64"
    (task,) = engine.tasks
    assert (task.platform, task.check.argv, task.ref) == ("linux/amd64", ("amd64",), image)


def test_an_index_without_the_engines_platform_is_told_and_not_remembered(make, registry, notes):
    engine = ListedEngine()
    result = make(engine).check("app", index(registry, "arm64", "s390x"))
    assert (result.passed, result.stored, engine.tasks) == (True, None, [])
    assert "linux/arm64, linux/s390x" in notes.warnings[0]


@pytest.mark.parametrize(
    ("platforms", "asked"), [(("arm64",), "linux/arm64"), (("arm64", "amd64"), "")]
)
def test_an_engine_that_does_not_know_its_platforms_chooses_itself(
    make, registry, platforms, asked
):
    engine = ListedEngine(native=())
    make(engine).check("app", index(registry, *platforms))
    assert engine.tasks[0].platform == asked


@pytest.mark.parametrize(
    "document", [{"layers": []}, {"config": {}}, {"manifests": []}, [], {"config": None}]
)
def test_what_is_no_image_does_not_pass(make, registry, document):
    with pytest.raises(ValidationError, match="no container image"):
        make(ListedEngine()).check("app", ref(put(registry, document)))


def test_a_weak_pass_says_how_to_ask_more(make, registry, notes):
    image = ref(store_image(registry, {"Cmd": ["x"]}))
    make(ListedEngine(outcome(exit_code=1))).check("a/b.c", image)
    (line,) = notes.lines
    assert line.endswith("set 'command' or 'health' in [images.\"a/b.c\".validate]")
