"""The limits that the kernel holds the container to, its user and its root file system: read inside, not believed."""

MIB = 1 << 20


def test_answers(compose, http):
    answer = http(compose.start("web"), "/", port=80)[0]
    assert answer.status == 200, f"GET :80/ → HTTP {answer.status} {answer.error}"


def test_memory(compose):
    limits = compose.inside("web").limits
    assert limits.memory is not None and limits.memory <= 64 * MIB, limits.said("memory") or "mem_limit: —"


def test_no_swap(compose):
    limits = compose.inside("web").limits
    said = limits.said("memory", "swap") or "mem_limit: —, memswap_limit: —"
    assert limits.swap == 0, said


def test_cpu(compose):
    limits = compose.inside("web").limits
    assert limits.cpus is not None and limits.cpus <= 0.5, limits.said("cpus") or "cpus: —"


def test_pids(compose):
    limits = compose.inside("web").limits
    assert limits.pids is not None and limits.pids <= 50, limits.said("pids") or "pids_limit: —"


def test_read_only(compose):
    inside = compose.inside("web")
    assert inside.read_only, f"/proc/PID/mountinfo: / {','.join(inside.root_options)}"


def test_non_root(compose):
    inside = compose.inside("web")
    assert inside.user != 0, f"/proc/PID/status: Uid: {inside.user}"
