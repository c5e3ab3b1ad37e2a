"""A program that prints and leaves behind what other projects' trainers do."""

import stat
from pathlib import Path

PROGRAM = """#!/usr/bin/env python3
import pathlib, shutil, sys
folder = pathlib.Path(OUTPUT)
folder.mkdir(parents=True, exist_ok=True)
assert sys.argv[1] == "train"
shutil.copytree(pathlib.Path(sys.argv[2]).parent, folder / "given")
print("noise {'epoch': 0.1}")
print("\\r 25%|##| 1/4 {'loss': '1.5', 'grad_norm': '0.5', 'learning_rate': '0.01', 'epoch': '0.5'}")
print({"eval_loss": 1.25, "eval_runtime": 0.1, "epoch": 1.0})
print({"loss": 0.5, "learning_rate": 0.0, "epoch": 2.0})
print({"train_runtime": 1.0, "train_loss": 1.0, "epoch": 2.0})
END
(folder / "adapter_model.safetensors").write_bytes(b"weights")
(folder / "adapter_config.json").write_text('{"target_modules": ["v", "k"]}')
"""


def install(folder: Path, name: str, *, output: Path, end: str = "") -> None:
    """Puts one into a folder, which writes into the output that its configuration names."""
    program = folder / name
    program.write_text(PROGRAM.replace("OUTPUT", repr(str(output))).replace("END", end))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
