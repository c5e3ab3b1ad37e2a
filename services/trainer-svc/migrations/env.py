from loopwright.migrations import run_env
from trainer_svc.store.tables import metadata

run_env(metadata)
