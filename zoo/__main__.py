"""The front door: what can be answered without torch is answered here."""

import difflib
import sys

import zoo

COMMANDS = ("fit", "validate", "test", "predict")
HELP = """\
zoo: recurrent sequence models, trained and run from one command line.

usage: python -m zoo COMMAND [options]

commands
  fit       --config FILE [--run_dir DIR [--resume]]   train, then test the best checkpoint once
  validate  --ckpt_path FILE [--config FILE]           validation metrics of a checkpoint
  test      --ckpt_path FILE [--config FILE]           test metrics of a checkpoint
  predict   --ckpt_path FILE [--config FILE]           predictions as CSV on standard output
            [--data.predict_inputs LIST]               ... for inputs of your own

options
  any key of a config         --model.hidden_size 64 --data.batch_size 16 --trainer.max_epochs 5
  COMMAND --help              all of them
  COMMAND --print_config      the complete config
  --debug                     the whole traceback when something fails
  -h, --help                  this page
  --version                   the version

A config names a task (CharLM, SeqClassifier, Seq2Seq, Regressor) and its data (Gutenberg, TextFile,
TextString, MNISTRows, WordCompletion, ToySeq2Seq, NumericSequences); the folder configs/ has one
for every published result. A run is one folder, by default runs/<config>/<date-time>.

example
  python -m zoo fit --config configs/toy_en_ko.yaml --run_dir runs/my_first
  python -m zoo predict --ckpt_path runs/my_first/checkpoints/best.ckpt --data.predict_inputs '[word, wodr]'
"""


def main(argv: list[str] | None = None) -> int:
    """Runs one command; returns the exit code."""
    argv = sys.argv[1:] if argv is None else argv
    command = next((arg for arg in argv if not arg.startswith("-")), None)
    if command is None and "--version" in argv:
        print(zoo.__version__)
        return 0
    if command is None:
        print(HELP, end="")
        return 0 if {"-h", "--help"} & set(argv) else 2
    if command not in COMMANDS:
        nearest = difflib.get_close_matches(command, COMMANDS, 1)
        hint = f"; did you mean {nearest[0]}?" if nearest else ""
        print(f"zoo: unknown command {command!r}, expected one of {', '.join(COMMANDS)}{hint}", file=sys.stderr)
        return 2
    from zoo.cli import main as run

    return run(argv)


if __name__ == "__main__":
    sys.exit(main())
