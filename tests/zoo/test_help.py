"""The help pages, their file, and completion in the shell."""

import re
import shutil
import subprocess
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
from test_layers import HEAVY, loaded_by

import help_pages
from support import refused
from zoo.cli import completion, help, help_rows


def test_the_file_of_the_help_pages_is_up_to_date() -> None:
    assert not help_pages.difference(), "run python benchmarks/help_pages.py"


@pytest.mark.parametrize("command", help.COMMANDS)
def test_the_first_page_is_short_and_its_options_exist(zoo_command: Callable, command: str) -> None:
    result = zoo_command(command, "--help")
    assert result.code == 0
    assert len(result.out.splitlines()) <= 68
    assert max(map(len, result.out.splitlines())) <= help.MAX_WIDTH
    known = {row.name for row in help_rows.read().rows} | {"--allow_import", "--optimizer.lr"}
    named = set(re.findall(r"--[a-z_]+(?:\.[a-z_]+)*", result.out)) - {"--help"}
    assert named <= known


def test_a_page_of_a_command_without_training_has_no_group_of_fit(zoo_command: Callable) -> None:
    assert "lr_scheduler" not in zoo_command("validate", "--help").out
    refused(zoo_command("validate", "--help", "Adam"), "validate has no use for optimizer; see")


@pytest.mark.parametrize(
    ("topic", "option"),
    {
        "CharLM": r"--model.hidden_size int .*\(default: 256\)",
        "Gutenberg": r"--data.books list\[int\] ",
        "trainer": r"--trainer.max_epochs int",
        "optimizer": "AdamW ",
        "Adam": r"--optimizer.lr float.*\(default: 0.001\)",
        "EarlyStopping": r"--trainer.callbacks.monitor str",
        "lightning.pytorch.callbacks.Timer": r"--trainer.callbacks.duration",
        "batch_size": "--data.batch_size",
    }.items(),
)
def test_help_of_a_class_group_or_option(zoo_command: Callable, topic: str, option: str) -> None:
    result = zoo_command("fit", "--help", topic)
    assert result.code == 0, result.err
    assert re.search(option, result.out)


def test_help_of_an_unknown_name_suggests_the_nearest(zoo_command: Callable) -> None:
    refused(zoo_command("fit", "--help", "CharLN"), "no class, group or option 'CharLN'; did you mean CharLM?")
    refused(zoo_command("fit", "--help", "os.system"), "no class, group or option 'os.system'")


def test_all_options_are_still_printed(zoo_command: Callable) -> None:
    assert len(zoo_command("fit", "--help", "all").out.splitlines()) > 500


def test_help_and_completion_load_no_torch() -> None:
    commands = [["fit", "--help"], ["test", "--help"], ["fit", "--help", "Gutenberg"], ["fit", "--help", "trainer"]]
    script = "\n".join(f"m.main({command})" for command in [*commands, ["completion", "bash"]])
    assert not loaded_by(f"import zoo.__main__ as m\n{script}", HEAVY | {"torch", "numpy"})


def completed(script: Path, *words: str) -> set[str]:
    """What bash offers for the last word."""
    typed = " ".join(f"'{word}'" for word in words)
    call = f"COMP_WORDS=(zoo {typed}); COMP_CWORD={len(words)}; _shtab_zoo"
    lines = f'source {script}; {call}; printf "%s\\n" "${{COMPREPLY[@]}}"'
    done = subprocess.run(["bash", "--norc", "-c", lines], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_commands_names_options_and_values(zoo_command: Callable, tmp_path: Path) -> None:
    script = tmp_path / "zoo.bash"
    script.write_text(zoo_command("completion", "bash").out)
    (tmp_path / "alice.yaml").touch()
    assert {"fit", "list", "runs", "completion"} <= completed(script, "")
    assert completed(script, "fit", "--config", "ali") == {
        "alice_best",
        "alice_lstm",
        "alice_lstm_heldout",
        "alice_qrnn",
        "alice.yaml",
    }
    assert completed(script, "validate", "--ckpt_path", "regr") == {
        *("regressor_gru.co2", "regressor_lem.adding", "regressor_lstm.three_steps")
    }
    assert "seq2seq_rnn.toy_en_ko" in completed(script, "generate", "seq2")
    assert completed(script, "fit", "--trainer.max_e") == {"--trainer.max_epochs"}
    assert completed(script, "fit", "--resume", "--model.hidden") == {"--model.hidden_size"}
    assert completed(script, "fit", "--model.cell", "g") == {"gru"}
    assert completed(script, "fit", "--trainer.precision", "bf16-m") == {"bf16-mixed"}
    assert completed(script, "fit", "--optimizer", "AdamW") == {"AdamW"}
    assert completed(script, "fit", "--help", "Guten") == {"Gutenberg"}


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_the_script_of_each_shell_has_all_commands(shell: str) -> None:
    script = completion.script(shell)
    assert {name for name in help_pages.COMMANDS if name in script} == set(help_pages.COMMANDS)


@pytest.mark.parametrize(
    ("option", "message"),
    {
        "--trainer.max_epo": "the trainer has no argument 'max_epo'; did you mean max_epochs?",
        "--seed": "did you mean seed_everything?",
        "--checkpoint.kee": "checkpoint has no argument 'kee'; did you mean keep?",
    }.items(),
)
def test_abbreviated_options_are_refused(zoo_command: Callable, option: str, message: str) -> None:
    refused(zoo_command("fit", "--config", "toy_en_ko", option, "3", "--run_dir", "run"), message)
    assert not Path("run").exists()


@pytest.mark.parametrize(
    ("option", "name", "package"),
    [
        ("--trainer.logger", "WandbLogger", "wandb"),
        ("--trainer.logger", "MLFlowLogger", "mlflow"),
        ("--trainer.callbacks", "RichProgressBar", "rich"),
    ],
)
def test_a_class_whose_package_is_missing_says_what_to_install(
    zoo_command: Callable, option: str, name: str, package: str
) -> None:
    if find_spec(package):
        pytest.skip(f"{package} is installed")
    refused(
        zoo_command("fit", "--config", "toy_en_ko", option, name, "--run_dir", "run"),
        f"{name} needs a package that is not installed; install it with: pip install {package}",
    )
    assert not Path("run").exists()
