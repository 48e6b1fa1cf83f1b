"""The command's own words: what it offers, and how it refuses."""

import pytest

from sampan.cli.main import VERBS, main, sampan
from sampan.cli.up import next_steps


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    out = capsys.readouterr()
    return ended.value.code, out.out, out.err


def test_every_verb_is_listed_and_can_be_loaded():
    for verb in VERBS:
        assert sampan.get_command(None, verb).name == verb
    assert sampan.get_command(None, "nonsense") is None


@pytest.mark.parametrize(("arguments", "message"), [
    (["nonsense"], "No such command 'nonsense'"),
    (["up", "--proxy-mode", "ipvs"], "--proxy-mode ipvs is not there yet"),
    (["up", "--proxy-mode", "magic"], '--proxy-mode "magic" is unknown'),
    (["status", "--name", "nowhere"], 'sampan: no cluster "nowhere"'),
    (["kubeconfig", "--name", "nowhere"], 'sampan: no cluster "nowhere"'),
    (["down", "--name", "nowhere"], 'sampan: no cluster "nowhere"'),
    (["status", "--name", "UPPER"], "can't name a cluster"),
    (["image", "rm", "none"], 'sampan: no image "none"'),
    (["image", "build", "--from-debian", "x"], "Missing option '-t'"),
])
def test_a_refusal_is_one_line_and_exit_code_1(capsys, tmp_path, monkeypatch, arguments, message):
    monkeypatch.setenv("SAMPAN_DATA_DIR", str(tmp_path))
    code, out, err = run(capsys, *arguments)
    assert code == 1 and message in err and out == ""
    assert "Traceback" not in err


def test_images_of_an_empty_store(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("SAMPAN_DATA_DIR", str(tmp_path))
    main(["image", "list"])
    assert capsys.readouterr().out.split() == ["NAME", "IMAGE", "ID", "SIZE"]


def test_the_next_steps_name_the_cluster_and_stand_in_columns():
    lines = next_steps("other", "sampan-other")
    assert "sampan down --name other --purge" in lines[-1]
    columns = {len(line) - len(line.split("   ")[-1].lstrip()) for line in lines}
    assert len(columns) == 1
