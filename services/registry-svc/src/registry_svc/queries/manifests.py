"""What Kubernetes would have to run for a whole model."""

from dataclasses import dataclass
from pathlib import Path

from loopwright.errors import Conflict
from loopwright.unit_of_work import Work
from registry_svc.domain.artefacts import ModelFormat
from registry_svc.domain.launching import LaunchTemplates, is_whole, manifest
from registry_svc.domain.models import VariantId
from registry_svc.store.models import get_model


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """What a manifest needs to know beside the version.

    Attributes:
        files_dir: Folder of unpacked model files, as pods see it.
    """

    templates: LaunchTemplates
    image: str
    files_dir: Path


async def read_manifest(work: Work, variant: VariantId, cluster: Cluster, *, replicas: int) -> str:
    """YAML of a Deployment and a Service.

    Raises:
        NotFound: there is no such version.
        Conflict: it is no whole model.
    """
    model = await get_model(work.session, variant)
    if model.artifact is None or not is_whole(model):
        raise Conflict("model.not-whole", f"{variant} is served by the vLLM of {model.base_model}")
    folder = cluster.files_dir / model.artifact.sha256
    # the pods' operator names the file: it lies in a claim that nobody here can look into
    weights = folder / "model.gguf" if model.format is ModelFormat.GGUF else folder
    return manifest(model, cluster.templates, image=cluster.image, weights=weights, replicas=replicas)
