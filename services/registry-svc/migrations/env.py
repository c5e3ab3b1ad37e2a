from loopwright.migrations import run_env
from registry_svc.store.tables import metadata

run_env(metadata)
