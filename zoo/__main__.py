"""The front door: what can be answered without torch is answered here."""

import os
import sys

import zoo
from zoo.messages import nearest

CATALOGUE = ("list", "show", "runs")
USING = ("generate", "infer", "export")
TRAINING = ("fit", "validate", "test", "predict")
PIPE_CLOSED = 141  # as a shell has it of a program that SIGPIPE ends
HELP = """\
zoo: recurrent sequence models, trained, loaded and used from one command line.

usage: python -m zoo COMMAND [options]

use a model: a MODEL is a name from the list, a bundle's folder, a checkpoint, or a Hugging Face Hub id
  list      [GLOB] [--json]                            the models that come with the package
  show      NAME                                       a model's card: data, recipe, metrics, limits
  generate  MODEL --prompt TEXT [--length N] [--temperature T] [--seed S]
  infer     MODEL INPUT... | - [--json]                words, numbers as 1,2,3, or images; - reads lines
  export    MODEL -o DIR [--half]                      turn a checkpoint into a bundle

train a model: a CONFIG is a file, or the name of a packaged one
  fit       --config CONFIG [--run_dir DIR] [--init_from MODEL] [--freeze PATTERNS]
  fit       --run_dir DIR --resume [--override]        go on with a run that was stopped, to the same last bit
  runs      [FOLDER] [--json]                          the runs in a folder: status, epoch, best metric, age
  validate  --ckpt_path MODEL [--config CONFIG]        validation metrics
  test      --ckpt_path MODEL [--config CONFIG]        test metrics
  predict   --ckpt_path MODEL [--config CONFIG]        predictions as CSV on standard output

options
  any key of a config         --model.hidden_size 64 --data.batch_size 16 --trainer.max_epochs 5
  COMMAND --help              all of them
  COMMAND --print_config      the complete config
  --allow_import PACKAGE      lets a config name classes of a package of yours; may be repeated
  --debug                     the whole traceback when something fails
  -h, --help                  this page
  --version                   the version

A config names a task (CharLM, SeqClassifier, Seq2Seq, Regressor) and its data (Gutenberg, TextFile,
TextString, MNISTRows, WordCompletion, ToySeq2Seq, NumericSequences); there is one for every
published result. A run is one folder, by default runs/<config>/<date-time>.

examples
  python -m zoo generate char_lm_lstm.alice --prompt "alice was" --temperature 0.5
  python -m zoo infer seq2seq_rnn.toy_en_ko word wodr loev
  python -m zoo fit --config toy_en_ko --run_dir runs/my_first
"""


def main(argv: list[str] | None = None) -> int:
    """Runs one command; returns the exit code."""
    try:
        code = _run(sys.argv[1:] if argv is None else argv)
        sys.stdout.flush()  # a pipe that was closed shows here, and not when the interpreter ends
        return code
    except BrokenPipeError:  # whoever read has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED


def _run(argv: list[str]) -> int:
    command = next((arg for arg in argv if not arg.startswith("-")), None)
    if command is None:
        asked = {"-h", "--help", "--version"} & set(argv)
        print(f"{zoo.__version__}\n" if "--version" in argv else HELP, end="")
        return 0 if asked else 2
    if command in CATALOGUE:
        from zoo.catalogue import main as run
    elif command in USING:
        from zoo.commands import main as run
    elif command in TRAINING:
        from zoo.cli import main as run
    else:
        known = (*CATALOGUE, *USING, *TRAINING)
        text = f"unknown command {command!r}, expected one of {', '.join(known)}{nearest(command, known)}"
        print(f"zoo: error: {text}", file=sys.stderr)
        return 2
    argv = list(argv)
    argv.remove(command)
    return run([command, *argv])


if __name__ == "__main__":
    sys.exit(main())
