#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Times FlashInfer's fused all-reduce on the points of a fiar-bench run.

    peer_flashinfer.py FILE.json

FILE.json is what `fiar-bench --format json --output FILE.json` wrote. Its graph points that
FlashInfer has (full residual, bf16 or f16, none or fp8_static) are timed as fiar-bench times: a CUDA
graph of as many calls, as many replays, one process a GPU, programmatic dependent launch on, the
one-shot and the two-shot kernel each. The results are added to FILE.json as the baselines
flashinfer_oneshot and flashinfer_twoshot, and the whole table is printed. Needs torch, the package
flashinfer-python and what that needs to compile its kernels; exit status 77 without them.
"""
import importlib.util
import json
import os
import socket
import statistics
import sys

import plot

DTYPES = {"bf16": "bfloat16", "f16": "float16"}
QUANTS = ("none", "fp8_static")
KERNELS = {"flashinfer_oneshot": True, "flashinfer_twoshot": False}
SCALE = 0.02
EPS = 1e-6
# Two-shot works on whole slices of a rank; one-shot's buffers are sized for this many bytes a rank.
ONESHOT_MAX_BYTES = 64 << 20
DELAY_CYCLES = 400000


def points_of(data):
    """The points of the file that FlashInfer can serve, each once, in order."""
    seen = {}
    for result in data["results"]:
        if (result["launch"] == "graph" and result["residual"] == "full" and result["dtype"] in DTYPES
                and result["quant"] in QUANTS and result["tokens"] > 0):
            key = tuple(result[name] for name in ("tokens", "hidden", "dtype", "quant"))
            seen.setdefault(key, result)
    return list(seen.values())


class Call:
    """One point's arrays, in as many sets as fiar-bench would go round, and the call on a set."""

    def __init__(self, torch, comm, rank, world, point, workspaces):
        self.torch, self.comm, self.workspaces = torch, comm, workspaces
        self.rank, self.world, self.point = rank, world, point
        shape, dtype = (point["tokens"], point["hidden"]), getattr(torch, DTYPES[point["dtype"]])
        one = point["tokens"] * point["hidden"] * 2
        cache = torch.cuda.get_device_properties(rank).L2_cache_size
        size = 4 * one + (one // 2 if point["quant"] != "none" else 0)
        self.sets = 1 if size < cache // 4 or size >= cache else (cache + cache // 4) // size + 1
        make = torch.Generator(device="cuda").manual_seed(1234 + rank)
        same = torch.Generator(device="cuda").manual_seed(99)
        random = lambda generator, *size: torch.rand(*size, device="cuda", generator=generator) * 2 - 1
        self.inputs = [random(make, *shape).to(dtype) for _ in range(self.sets)]
        self.residuals = [random(same, *shape).to(dtype) for _ in range(self.sets)]
        self.weight = (1 + random(same, shape[1]) / 2).to(dtype)
        self.residual_out = [torch.empty(shape, dtype=dtype, device="cuda") for _ in range(self.sets)]
        code = dtype if point["quant"] == "none" else torch.float8_e4m3fn
        self.out = [torch.empty(shape, dtype=code, device="cuda") for _ in range(self.sets)]
        self.scale = torch.tensor([SCALE], dtype=torch.float32, device="cuda")

    def run(self, index, oneshot):
        patterns, quantises = self.comm.AllReduceFusionPattern, self.point["quant"] != "none"
        self.comm.trtllm_allreduce_fusion(
            allreduce_in=self.inputs[index], world_size=self.world, world_rank=self.rank,
            token_num=self.point["tokens"], hidden_dim=self.point["hidden"], workspace_ptrs=self.workspaces[oneshot],
            launch_with_pdl=True, trigger_completion_at_end=True, fp32_acc=True,
            pattern_code=patterns.kARResidualRMSNormFP8Quant if quantises else patterns.kARResidualRMSNorm,
            use_oneshot=oneshot, allreduce_out=None, residual_in=self.residuals[index],
            residual_out=self.residual_out[index], norm_out=None if quantises else self.out[index],
            quant_out=self.out[index] if quantises else None, scale_out=None, rms_gamma=self.weight,
            rms_eps=EPS, scale_factor=self.scale if quantises else None, layout_code=None)

    def wrong(self, oneshot):
        """What to print where a rank's answer is wrong; None: it is right on all."""
        try:
            self.check(oneshot)
            words = None
        except AssertionError as error:
            words = str(error)
        failed = self.torch.tensor([words is not None], dtype=self.torch.float32, device="cuda")
        self.torch.distributed.all_reduce(failed)
        if failed.item() == 0:
            return None
        return (f"FlashInfer's {'one' if oneshot else 'two'}-shot at {self.point['tokens']} x {self.point['hidden']}: "
                f"a wrong answer on {int(failed.item())} of {self.world} ranks, not timed. Rank {self.rank}: {words}")

    def check(self, oneshot):
        """Against the same in f32: the sum within two units of the type, as its order differs."""
        torch = self.torch
        self.residual_out[0].fill_(float("nan"))
        self.run(0, oneshot)
        total = self.inputs[0].float()
        torch.distributed.all_reduce(total)
        total += self.residuals[0].float()
        torch.testing.assert_close(self.residual_out[0].float(), total, rtol=2e-2, atol=2e-2)
        norm = total * torch.rsqrt(total.square().mean(-1, keepdim=True) + EPS) * self.weight.float()
        got = self.out[0].float() * (SCALE if self.point["quant"] != "none" else 1)
        norm = norm.clamp(-448 * SCALE, 448 * SCALE) if self.point["quant"] != "none" else norm
        torch.testing.assert_close(got, norm, rtol=0.13, atol=5e-2)


def time_call(torch, call, oneshot, settings):
    """Microseconds a call: max over the ranks a replay, sorted."""
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        call.run(0, oneshot)
        stream.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=stream):
            for index in range(settings["calls"]):
                call.run(index % call.sets, oneshot)
        start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        times = []
        for replay in range(3 + settings["replays"]):
            torch.distributed.barrier()
            stream.synchronize()
            torch.cuda._sleep(DELAY_CYCLES)
            call.run(0, oneshot)
            start.record(stream)
            graph.replay()
            stop.record(stream)
            stream.synchronize()
            worst = torch.tensor([start.elapsed_time(stop)], device="cuda")
            torch.distributed.all_reduce(worst, op=torch.distributed.ReduceOp.MAX)
            times += [worst.item() * 1e3 / settings["calls"]] if replay >= 3 else []
    return sorted(times)


def supports(point, world, oneshot):
    size = point["tokens"] * point["hidden"] * 2
    return size * world <= ONESHOT_MAX_BYTES if oneshot else point["tokens"] > world


def rank_main(rank, world, port, data, points, path):
    import torch
    from flashinfer import comm

    torch.cuda.set_device(rank)
    torch.distributed.init_process_group("nccl", init_method=f"tcp://127.0.0.1:{port}", rank=rank,
                                         world_size=world, device_id=torch.device("cuda", rank))
    hidden = max(point["hidden"] for point in points)
    # A workspace for each: one-shot goes round three buffers whose offsets are ints.
    made = {oneshot: comm.trtllm_create_ipc_workspace_for_all_reduce_fusion(
        rank, world, max((point["tokens"] * point["hidden"] // hidden + 1 for point in points
                          if not oneshot or supports(point, world, oneshot)), default=1), hidden)
            for oneshot in KERNELS.values()}
    results = []
    for point in points:
        call = Call(torch, comm, rank, world, point, {oneshot: each[1] for oneshot, each in made.items()})
        for name, oneshot in KERNELS.items():
            if not supports(point, world, oneshot):
                continue
            wrong = call.wrong(oneshot)
            if wrong:
                print(wrong) if rank == 0 else None
                continue
            times = time_call(torch, call, oneshot, data)
            results.append({**{key: point[key] for key in plot.GROUP + ("tokens",)}, "impl": name,
                            "baseline": True, "backend": "flashinfer", "us": statistics.median(times),
                            "low_us": times[len(times) // 10], "high_us": times[len(times) * 9 // 10]})
    if rank == 0:
        names = set(KERNELS)
        data["results"] = [result for result in data["results"] if result["impl"] not in names] + results
        with open(path, "w", encoding="utf-8") as file:
            json.dump(data, file, indent=1)
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


def main():
    if len(sys.argv) != 2 or not os.path.exists(sys.argv[1]):
        sys.exit(__doc__)
    for package in ("torch", "flashinfer"):  # the ranks import it: that takes a while
        if importlib.util.find_spec(package) is None:
            print(f"skipped: {package} is not installed")
            sys.exit(77)
    import torch

    path = sys.argv[1]
    with open(path, encoding="utf-8") as file:
        data = json.load(file)
    points = points_of(data)
    if not points or torch.cuda.device_count() < data["ranks"]:
        print("skipped: no point that FlashInfer serves, or too few GPUs")
        sys.exit(77)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    world = data["ranks"]
    torch.multiprocessing.spawn(rank_main, args=(world, port, data, points, path), nprocs=world)
    plot.print_table(plot.load([path]))


if __name__ == "__main__":
    main()
