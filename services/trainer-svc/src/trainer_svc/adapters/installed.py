"""What is installed here: base models, as their configurations say, and other projects' trainers."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from trainer_svc.domain.installed import Installed
from trainer_svc.domain.memory import ModelShape

COMMANDS = {"axolotl": "axolotl", "llama_factory": "llamafactory-cli"}


class _Config(BaseModel):
    """The part of `config.json` (transformers) that memory depends on."""

    model_config = ConfigDict(extra="ignore")

    vocab_size: int = Field(gt=0)
    hidden_size: int = Field(gt=0)
    num_hidden_layers: int = Field(gt=0)
    num_attention_heads: int = Field(gt=0)
    num_key_value_heads: int | None = None
    head_dim: int | None = None
    intermediate_size: int = Field(gt=0)
    experts: int | None = Field(default=None, validation_alias=AliasChoices("num_local_experts", "num_experts"))
    tie_word_embeddings: bool = False


def read_installed(folders: Mapping[str, Path], *, programs: Mapping[str, Path]) -> Installed:
    """Looks at what there is; blocks for a moment.

    Args:
        programs: Where other projects' trainers are; those that are not named are looked for on the PATH.
    """
    shapes = {name: shape for name, folder in folders.items() if (shape := _read_shape(folder)) is not None}
    found = {
        name: Path(path)
        for name, command in COMMANDS.items()
        if (path := shutil.which(programs.get(name, command))) is not None
    }
    return Installed(folders=folders, shapes=shapes, programs=found)


def _read_shape(folder: Path) -> ModelShape | None:
    try:
        config = _Config.model_validate_json((folder / "config.json").read_bytes())
    except (OSError, ValidationError):
        return None
    return ModelShape(
        vocabulary=config.vocab_size,
        hidden=config.hidden_size,
        layers=config.num_hidden_layers,
        heads=config.num_attention_heads,
        kv_heads=config.num_key_value_heads or config.num_attention_heads,
        head_size=config.head_dim or config.hidden_size // config.num_attention_heads,
        mlp=config.intermediate_size,
        experts=config.experts or 1,
        tied=config.tie_word_embeddings,
    )
