"""Training a network in shards over several devices (FSDP2), and getting it back whole."""

from __future__ import annotations

from typing import TypeVar

import torch
import torch.distributed as dist
from lightning.pytorch import Trainer
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

__all__ = ["full", "is_sharded", "local", "shard", "shard_like", "whole"]

N = TypeVar("N", bound=nn.Module)


def is_sharded(trainer: Trainer) -> bool:
    """Whether the strategy asks modules to shard themselves."""
    return isinstance(trainer.strategy, ModelParallelStrategy)


def shard(net: nn.Module, blocks: nn.ModuleList, device: torch.device) -> None:
    """Divide the parameters of every block, and of the rest, among all ranks.

    The mesh is ours, for plain data parallelism: Lightning's takes the ranks of a node to be tensor-parallel
    by default, and would not average gradients over them.
    """
    if isinstance(net, FSDPModule):
        return
    mesh = init_device_mesh(device.type, (dist.get_world_size(),))
    for block in blocks:
        fully_shard(block, mesh=mesh)
    # shards again after every forward pass, so that averages and checkpoints never meet gathered weights
    fully_shard(net, mesh=mesh, reshard_after_forward=True)


def whole(net: N) -> N:
    """The network itself, or a copy in main memory if it is sharded; all ranks have to call this."""
    if not isinstance(net, FSDPModule):
        return net
    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    state = get_model_state_dict(net, options=options)
    # fully_shard derives a class of the same name from the network's own
    own_class = next(cls for cls in type(net).__mro__ if not issubclass(cls, FSDPModule))
    with torch.device("meta"):
        copy = own_class(net.config)
    if state:  # on the first rank only
        copy.load_state_dict(state, strict=True, assign=True)
    return copy


def local(tensor: Tensor) -> Tensor:
    """This rank's part of a tensor, sharing its memory."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def full(tensor: Tensor) -> Tensor:
    """All parts of a tensor put together; all ranks have to call this."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def shard_like(tensor: Tensor, example: Tensor) -> Tensor:
    """Give every rank its part of a tensor that all of them hold, on the device of `example`."""
    tensor = tensor.to(example.device)
    if isinstance(example, DTensor) and not isinstance(tensor, DTensor):
        return distribute_tensor(tensor, example.device_mesh, example.placements)
    return tensor
