from feedback_svc.store.tables import metadata
from loopwright.migrations import run_env

run_env(metadata)
