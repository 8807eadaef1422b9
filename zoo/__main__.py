"""The front door: what can be answered without torch is answered here."""

import os
import sys
from importlib import import_module

import zoo
from zoo.checks import nearest
from zoo.cli.arguments import split
from zoo.cli.errors import WRONG, UsageError, report

COMMANDS = {
    **dict.fromkeys(("list", "show", "runs"), "zoo.cli.catalogue"),
    **dict.fromkeys(("generate", "infer", "export"), "zoo.cli.use"),
    **dict.fromkeys(("fit", "validate", "test", "predict"), "zoo.cli.train"),
}
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
    """Runs one command; returns the exit code. It is the console script `zoo`, too."""
    try:
        code = _run(sys.argv[1:] if argv is None else argv)
        sys.stdout.flush()  # a pipe that was closed shows here, and not when the interpreter ends
        return code
    except BrokenPipeError:  # whoever read has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED


def _run(argv: list[str]) -> int:
    debug = "--debug" in argv
    try:
        command = split(argv)
        if not command.name:
            asked = {"-h", "--help", "--version"} & set(command.argv)
            print(f"{zoo.__version__}\n" if "--version" in command.argv else HELP, end="")
            return 0 if asked else WRONG
        if command.name not in COMMANDS:
            hint = nearest(command.name, COMMANDS)
            raise UsageError(f"unknown command {command.name!r}, expected one of {', '.join(COMMANDS)}{hint}")
        return int(import_module(COMMANDS[command.name]).run(command))
    except BrokenPipeError:
        raise
    except (Exception, KeyboardInterrupt, SystemExit) as error:
        return report(error, debug)


if __name__ == "__main__":
    sys.exit(main())
