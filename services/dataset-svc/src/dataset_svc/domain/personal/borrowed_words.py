"""Which words are taken for no names, whatever their shape, put together from the lists of them."""

from typing import Final

from dataset_svc.domain.personal.foreign_names import AMBIGUOUS_FOREIGN, ASIAN_NAMES, FOREIGN_NAMES
from dataset_svc.domain.personal.known_persons import KNOWN_FOREIGNERS
from dataset_svc.domain.personal.loanwords import LOANWORDS
from dataset_svc.domain.personal.proper_loanwords import PLACES, THINGS
from dataset_svc.domain.personal.world_names import WORLD_NAMES

BORROWED: Final = LOANWORDS | (
    (PLACES | THINGS) - FOREIGN_NAMES - ASIAN_NAMES - AMBIGUOUS_FOREIGN - WORLD_NAMES - KNOWN_FOREIGNERS
)
