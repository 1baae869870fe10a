// RUN: fiar-opt %s --verify-diagnostics --pass-pipeline='builtin.module(fiar-check)'
// RUN: not fiar-opt %s --pass-pipeline='builtin.module(fiar-check{seeds=0})' 2>&1 | FileCheck %s --check-prefix=SEEDS
// RUN: not fiar-opt %s --pass-pipeline='builtin.module(fiar-check{world=-1})' 2>&1 | FileCheck %s --check-prefix=WORLD
// RUN: not fiar-opt %s --pass-pipeline='builtin.module(fiar-fuse{world=-3})' 2>&1 | FileCheck %s --check-prefix=FUSE
// SEEDS: seeds is below 1: nothing would be checked
// WORLD: world is below 0
// FUSE: the option world is -3, must be 0 or more

// Nobody says how many ranks the group has: that nothing was checked is said.
// expected-remark@+1 {{nothing was checked: no collective says which ranks}}
module {
  func.func @f(%x: !torch.vtensor<[4,64],bf16>) -> !torch.vtensor<[4,64],bf16> {
    %group = torch.constant.str "tp:0"
    %0 = torch.operator "torch.vllm.all_reduce"(%x, %group) : (!torch.vtensor<[4,64],bf16>, !torch.str) -> !torch.vtensor<[4,64],bf16>
    return %0 : !torch.vtensor<[4,64],bf16>
  }
}
