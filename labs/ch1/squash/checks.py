"""Why --squash failed four times, and an image that needs no squashing: no deleted bytes, and the base still shared."""

from hello_k8s.grading import MB

BASE = "debian:trixie-slim"
CAUSES = ("client-file", "not-restarted", "other-engine", "builder", "image-store")


def weight(engine, image):
    """Bytes of all layers. Both image stores say it in the history, without the image being saved."""
    sizes = engine.run("history", "--human=false", "--format", "{{.Size}}", image).stdout.split()
    return sum(int(float(size)) for size in sizes)


def test_case_1(answers):
    assert answers.choice("case-1", CAUSES) == "not-restarted", answers.said("case-1")


def test_case_2(answers):
    assert answers.choice("case-2", CAUSES) == "builder", answers.said("case-2")


def test_case_3(answers):
    assert answers.choice("case-3", CAUSES) == "image-store", answers.said("case-3")


def test_case_4(answers):
    assert answers.choice("case-4", CAUSES) == "client-file", answers.said("case-4")


def test_no_deleted_bytes(image):
    added = weight(image.engine, image.tag) - weight(image.engine, BASE)
    assert added < 1 * MB, f"{added / MB:.1f} MB ≥ 1 MB"


def test_shares_base(image):
    base = image.engine.image(BASE)["RootFS"]["Layers"]
    found = image.inspected["RootFS"]["Layers"][: len(base)]
    assert found == base, f"RootFS.Layers[0] = {found[0] if found else None} ≠ {base[0]}"


def test_report(container, eventually, submission):
    def printed():
        said = container.logs()
        assert f"report {submission.nonce}: 2000000 measurements" in said, f'"{said.strip()[:120]}"'

    eventually(printed, within=10)
