from loopwright.migrations import run_env
from trainer_svc.store.study_tables import metadata  # all tables: it adds its own to those that it refers to

run_env(metadata)
