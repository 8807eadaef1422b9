"""The entry point of the command line. It imports torch only for commands that need it."""

import logging
import os
import sys
from importlib import import_module

import zoo
from zoo.checks import nearest
from zoo.cli import help as help_pages
from zoo.cli.arguments import DEBUG, split
from zoo.cli.errors import WRONG, UsageError, report

COMMANDS = {
    **dict.fromkeys(("list", "show"), "zoo.cli.catalogue"),
    **dict.fromkeys(("runs", "compare"), "zoo.cli.runs"),
    **dict.fromkeys(("generate", "infer"), "zoo.cli.use"),
    "export": "zoo.cli.export",
    **dict.fromkeys(("fit", "validate", "test", "predict"), "zoo.cli.train"),
    "sweep": "zoo.cli.sweep",
    "serve": "zoo.cli.serve",
    "page": "zoo.cli.page",
    "data": "zoo.cli.data",
    "completion": "zoo.cli.completion",
}
PIPE_CLOSED = 141  # as in a shell, for a program that SIGPIPE ended
HELP = """\
zoo: train, load and use recurrent sequence models.

usage: python -m zoo COMMAND [options]

use a model: MODEL is a name from the list, the folder of a bundle or run, a checkpoint, or a Hugging Face Hub id
  list      [GLOB] [--json]                            the trained models in the package
  show      NAME                                       a model's card: data, recipe, metrics, limits
  generate  MODEL --prompt TEXT [--length N] [--temperature T] [--seed S]
  infer     MODEL INPUT... | - [--json]                inputs: words, numbers as 1,2,3, or images; - reads lines
  export    MODEL -o DIR [--half]                      turn a checkpoint into a bundle
  export    MODEL -o DIR --format onnx | torch [--int8]    write graphs that run without this package
  serve     MODEL... [--port PORT]                     answer HTTP requests, and show a page to try the models
  page      MODEL... -o DIR                            a web page on which visitors try models, for any web host

train a model: CONFIG is a file, or the name of a config in the package
  fit       --config CONFIG [--run_dir DIR] [--init_from MODEL] [--freeze PATTERNS]
  fit       --run_dir DIR --resume [--override]        resume a stopped run
  sweep     --config CONFIG --space SPACE [--trials N] [--sweep_dir DIR]    search options of fit, with pruning
  data      --config CONFIG [-o PICTURE]               what a config's data is: parts, symbols, classes, first examples
  runs      [FOLDER] [--sort METRIC] [--filter KEY=GLOB] [--group]     the runs in a folder, and their best metrics
  compare   RUN RUN... [-o PICTURE]                    what differs between runs, and their learning curves
  validate  --ckpt_path MODEL [--config CONFIG] [--on_unknown skip]    validation metrics, also on other data
  test      --ckpt_path MODEL [--config CONFIG] [--on_unknown skip]    test metrics
  predict   --ckpt_path MODEL [--config CONFIG]        predictions as CSV on standard output

shell
  completion bash|zsh                                  a script for the Tab key; --help says how to install it

options
  any key of a config         --model.hidden_size 64 --data.batch_size 16 --trainer.max_epochs 5
  COMMAND --help              the options of a command
  fit --help NAME             those of a task, data, or another class, or of a group such as trainer
  COMMAND --print_config      the complete config
  --allow_import PACKAGE      allow configs to name classes of this package; can be repeated
  --debug                     the full traceback of an error
  -h, --help                  this page
  --version                   the version

A config names a task (CharLM, SeqClassifier, SeqTagger, Seq2Seq, Regressor) and its data (Gutenberg,
TextFile, TextString, MNISTRows, LabelledSequences, TaggedSequences, Punctuation, WordCompletion,
TextPairs, ToySeq2Seq, Pronunciations, NumericSequences, TimeSeries, AddingProblem, SelectiveCopy,
Parity, PermutationProduct). Each published result has a config. A run is one folder, by default
runs/<config>/<date-time>.

examples
  python -m zoo generate char_lm_lstm.alice --prompt "alice was" --temperature 0.5
  python -m zoo infer seq2seq_rnn.toy_en_ko word wodr loev
  python -m zoo fit --config toy_en_ko --run_dir runs/my_first
"""


class Notes(logging.Handler):
    """Prints what the package logs on standard error, on the main process only."""

    def emit(self, record: logging.LogRecord) -> None:
        """Prints a message."""
        if os.environ.get("LOCAL_RANK", "0") == "0":
            print(record.getMessage(), file=sys.stderr, flush=True)


def main(argv: list[str] | None = None) -> int:
    """Runs one command, and returns the exit code. The console script `zoo` calls this."""
    for log in map(logging.getLogger, ("zoo", "datamodules")):
        if not log.handlers:
            log.addHandler(Notes())
        log.setLevel(logging.INFO)
    try:
        code = _run(sys.argv[1:] if argv is None else argv)
        sys.stdout.flush()  # a closed pipe raises here, and not when the interpreter ends
        return code
    except BrokenPipeError:  # the reader has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED


def _run(argv: list[str]) -> int:
    debug = DEBUG in argv  # also for errors in splitting the command line
    try:
        command = split(argv)
        if not command.name:
            asked = {"-h", "--help", "--version"} & set(command.argv)
            print(f"{zoo.__version__}\n" if "--version" in command.argv else HELP, end="")
            return 0 if asked else WRONG
        if command.name not in COMMANDS:
            hint = nearest(command.name, COMMANDS)
            raise UsageError(f"unknown command {command.name!r}, expected one of {', '.join(COMMANDS)}{hint}")
        if help_pages.topic_of(command) is not None:
            return help_pages.run(command)
        return int(import_module(COMMANDS[command.name]).run(command))
    except BrokenPipeError:
        raise
    except (Exception, KeyboardInterrupt, SystemExit) as error:
        return report(error, debug)


if __name__ == "__main__":
    sys.exit(main())
