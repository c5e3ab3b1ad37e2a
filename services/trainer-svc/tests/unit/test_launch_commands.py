"""With which words the processes of a recipe are started."""

from pathlib import Path

import pytest
from torch.distributed.run import parse_args

from trainer_svc.adapters.launch import Nodes, command

JOB = Path("folder/job.json")


def words(*devices: str, sharding: str = "none", nodes: Nodes | None = None) -> tuple[str, ...]:
    return command("some.recipe", JOB, devices=devices, sharding=sharding, nodes=nodes or Nodes())


class TestCommand:
    @pytest.mark.parametrize("sharding", ["none", "ddp"])
    def test_of_one_device_is_the_recipe_itself(self, sharding: str) -> None:
        assert words("cuda:3", sharding=sharding) == ("-m", "some.recipe", "folder/job.json")

    def test_of_several_is_a_group_that_torchrun_understands(self) -> None:
        run, module, *arguments = words("cuda:0", "cuda:1", "cuda:2")
        assert (run, module) == ("-m", "trainer_svc.recipes.group")
        understood = parse_args(arguments)
        assert (understood.nproc_per_node, understood.nnodes, understood.node_rank) == ("3", "1", 0)
        assert understood.training_script == "setpriv"
        assert understood.training_script_args[-3:] == ["-m", "some.recipe", "folder/job.json"]

    def test_of_a_group_dies_with_it_and_talks_on_the_loopback(self) -> None:
        arguments = words("cpu:0", "cpu:1")
        assert arguments[arguments.index("setpriv") :][:4] == ("setpriv", "--pdeathsig", "KILL", "--")
        assert {"GLOO_SOCKET_IFNAME=lo", "NCCL_SOCKET_IFNAME=lo"} <= set(arguments)

    def test_of_shards_is_a_group_even_on_one_device(self) -> None:
        assert "trainer_svc.recipes.group" in words("cuda:0", sharding="zero3")

    def test_of_several_machines_names_their_number_and_where_they_meet(self) -> None:
        nodes = Nodes(count=2, rank=1, meeting="leader:29400")
        understood = parse_args(list(words("cuda:0", nodes=nodes)[2:]))
        assert (understood.nnodes, understood.node_rank, understood.rdzv_endpoint) == ("2", 1, "leader:29400")
        assert "GLOO_SOCKET_IFNAME=lo" not in words("cuda:0", nodes=nodes)

    def test_of_what_is_no_training_is_the_recipe_itself_whatever_it_runs_on(self) -> None:
        nodes = Nodes(count=2, meeting="leader:29400")
        arguments = command("some.recipe", JOB, devices=("cuda:0", "cuda:1"), sharding=None, nodes=nodes)
        assert arguments == ("-m", "some.recipe", "folder/job.json")
