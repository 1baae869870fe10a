// The fiar dialect. docs/dialect.md explains every operand, result and attribute; mlir-opt reads this
// file with --irdl-file, fiar-opt and the plugin carry it inside. IRDL requires every attribute named
// here and lets others through; each operand has a constraint variable of its own, since one variable
// shared would unify the types.
irdl.dialect @fiar {
  // %sum = all_reduce_sum(%x): a plain all-reduce through fiar's workspace.
  irdl.operation @all_reduce {
    %x = irdl.any
    irdl.operands(x: %x)
    irdl.results(sum: %x)
    %integer = irdl.base "#builtin.integer"
    %groups = irdl.any
    irdl.attributes {"world" = %integer, "groups" = %groups}
  }

  // [sum, residual, norm, quant, scales] = quantise(rms_norm(all_reduce_sum(%x) [+ %residual])).
  irdl.operation @all_reduce_norm {
    %x = irdl.any
    %residual = irdl.any
    %weight = irdl.any
    %scale = irdl.any
    irdl.operands(x: %x, residual_in: optional %residual, weight: optional %weight, scale: optional %scale)
    %sum_out = irdl.any
    %residual_out = irdl.any
    %norm_out = irdl.any
    %quant_out = irdl.any
    %scales_out = irdl.any
    irdl.results(sum: optional %sum_out, residual: optional %residual_out, norm: optional %norm_out,
                 quant: optional %quant_out, scales: optional %scales_out)

    %eps = irdl.base "#builtin.float"
    %weight_bias = irdl.base "#builtin.float"
    %scale_min = irdl.base "#builtin.float"
    %group_size = irdl.base "#builtin.integer"
    %world = irdl.base "#builtin.integer"
    %groups = irdl.any
    %none = irdl.is "none"
    %fp8_static = irdl.is "fp8_static"
    %fp8_token = irdl.is "fp8_token"
    %fp8_group = irdl.is "fp8_group"
    %nvfp4 = irdl.is "nvfp4"
    %mxfp8 = irdl.is "mxfp8"
    %mxfp4 = irdl.is "mxfp4"
    %quant = irdl.any_of(%none, %fp8_static, %fp8_token, %fp8_group, %nvfp4, %mxfp8, %mxfp4)
    %linear = irdl.is "linear"
    %swizzled_128x4 = irdl.is "swizzled_128x4"
    %swizzled_8x4 = irdl.is "swizzled_8x4"
    %column_major = irdl.is "column_major"
    %scale_layout = irdl.any_of(%linear, %swizzled_128x4, %swizzled_8x4, %column_major)
    %divisor = irdl.is "divisor"
    %multiplier = irdl.is "multiplier"
    %scale_is = irdl.any_of(%divisor, %multiplier)
    %rounded = irdl.is "rounded"
    %unrounded = irdl.is "f32"
    %norm_input = irdl.any_of(%rounded, %unrounded)
    %f32 = irdl.is "f32"
    %e4m3 = irdl.is "e4m3"
    %ue8m0 = irdl.is "ue8m0"
    %scale_type = irdl.any_of(%f32, %e4m3, %ue8m0)
    %before_weight = irdl.is "before_weight"
    %after_weight = irdl.is "after_weight"
    %norm_rounding = irdl.any_of(%before_weight, %after_weight)
    %full = irdl.is "full"
    %token_shard = irdl.is "token_shard"
    %token_block = irdl.is "token_block"
    %residual_layout = irdl.any_of(%full, %token_shard, %token_block)
    irdl.attributes {
      "eps" = %eps, "weight_bias" = %weight_bias, "scale_min" = %scale_min,
      "quant" = %quant, "scale_layout" = %scale_layout, "group_size" = %group_size,
      "scale_is" = %scale_is, "norm_input" = %norm_input, "scale_type" = %scale_type,
      "norm_rounding" = %norm_rounding, "residual_layout" = %residual_layout,
      "world" = %world, "groups" = %groups
    }
  }

  // %full = the [tokens, H] value whose rows r, r + world, ... rank r holds as %rows [ceil(tokens/N), H].
  irdl.operation @all_gather_rows {
    %rows = irdl.any
    irdl.operands(rows: %rows)
    %full = irdl.any
    irdl.results(full: %full)
    %integer = irdl.base "#builtin.integer"
    %groups = irdl.any
    irdl.attributes {"world" = %integer, "groups" = %groups}
  }

  // %rows [ceil(tokens/N), H] = this rank's rows r, r + world, ... of %full [tokens, H]: no communication.
  irdl.operation @take_rows {
    %full = irdl.any
    irdl.operands(full: %full)
    %rows = irdl.any
    irdl.results(rows: %rows)
    %integer = irdl.base "#builtin.integer"
    %groups = irdl.any
    irdl.attributes {"world" = %integer, "groups" = %groups}
  }

  // ---- What a block needs around the fused call: each on one rank, without communication ----

  // %out = T((%a x %b) * scales [+ %bias]), %b a matrix, products summed in f32 and rounded once.
  irdl.operation @matmul {
    %a = irdl.any
    %b = irdl.any
    %bias = irdl.any
    %a_scale = irdl.any
    %b_scale = irdl.any
    %a_scales = irdl.any
    %b_scales = irdl.any
    irdl.operands(a: %a, b: %b, bias: optional %bias, a_scale: optional %a_scale, b_scale: optional %b_scale,
                  a_scales: optional %a_scales, b_scales: optional %b_scales)
    %out = irdl.any
    irdl.results(out: %out)
    %b_transposed = irdl.base "#builtin.integer"
    %divisor_a = irdl.is "divisor"
    %multiplier_a = irdl.is "multiplier"
    %a_scale_is = irdl.any_of(%divisor_a, %multiplier_a)
    %divisor_b = irdl.is "divisor"
    %multiplier_b = irdl.is "multiplier"
    %b_scale_is = irdl.any_of(%divisor_b, %multiplier_b)
    %none_a = irdl.is "none"
    %vector_a = irdl.is "vector"
    %block_a = irdl.is "block"
    %a_scaling = irdl.any_of(%none_a, %vector_a, %block_a)
    %none_b = irdl.is "none"
    %vector_b = irdl.is "vector"
    %block_b = irdl.is "block"
    %b_scaling = irdl.any_of(%none_b, %vector_b, %block_b)
    %f32 = irdl.is "f32"
    %e4m3 = irdl.is "e4m3"
    %ue8m0 = irdl.is "ue8m0"
    %block_scale_type = irdl.any_of(%f32, %e4m3, %ue8m0)
    %linear = irdl.is "linear"
    %swizzled_128x4 = irdl.is "swizzled_128x4"
    %swizzled_8x4 = irdl.is "swizzled_8x4"
    %column_major = irdl.is "column_major"
    %block_scale_layout = irdl.any_of(%linear, %swizzled_128x4, %swizzled_8x4, %column_major)
    irdl.attributes {
      "b_transposed" = %b_transposed, "a_scale_is" = %a_scale_is, "b_scale_is" = %b_scale_is,
      "a_scaling" = %a_scaling, "b_scaling" = %b_scaling, "block_scale_type" = %block_scale_type,
      "block_scale_layout" = %block_scale_layout
    }
  }

  // [residual, norm, quant, scales] = quantise(rms_norm(%x [+ %residual])): all_reduce_norm of one rank.
  irdl.operation @rms_norm {
    %x = irdl.any
    %residual = irdl.any
    %weight = irdl.any
    %scale = irdl.any
    irdl.operands(x: %x, residual_in: optional %residual, weight: optional %weight, scale: optional %scale)
    %residual_out = irdl.any
    %norm_out = irdl.any
    %quant_out = irdl.any
    %scales_out = irdl.any
    irdl.results(residual: optional %residual_out, norm: optional %norm_out, quant: optional %quant_out,
                 scales: optional %scales_out)
    %eps = irdl.base "#builtin.float"
    %weight_bias = irdl.base "#builtin.float"
    %scale_min = irdl.base "#builtin.float"
    %group_size = irdl.base "#builtin.integer"
    %none = irdl.is "none"
    %fp8_static = irdl.is "fp8_static"
    %fp8_token = irdl.is "fp8_token"
    %fp8_group = irdl.is "fp8_group"
    %nvfp4 = irdl.is "nvfp4"
    %mxfp8 = irdl.is "mxfp8"
    %mxfp4 = irdl.is "mxfp4"
    %quant = irdl.any_of(%none, %fp8_static, %fp8_token, %fp8_group, %nvfp4, %mxfp8, %mxfp4)
    %linear = irdl.is "linear"
    %swizzled_128x4 = irdl.is "swizzled_128x4"
    %swizzled_8x4 = irdl.is "swizzled_8x4"
    %column_major = irdl.is "column_major"
    %scale_layout = irdl.any_of(%linear, %swizzled_128x4, %swizzled_8x4, %column_major)
    %divisor = irdl.is "divisor"
    %multiplier = irdl.is "multiplier"
    %scale_is = irdl.any_of(%divisor, %multiplier)
    %rounded = irdl.is "rounded"
    %unrounded = irdl.is "f32"
    %norm_input = irdl.any_of(%rounded, %unrounded)
    %f32 = irdl.is "f32"
    %e4m3 = irdl.is "e4m3"
    %ue8m0 = irdl.is "ue8m0"
    %scale_type = irdl.any_of(%f32, %e4m3, %ue8m0)
    %before_weight = irdl.is "before_weight"
    %after_weight = irdl.is "after_weight"
    %norm_rounding = irdl.any_of(%before_weight, %after_weight)
    irdl.attributes {
      "eps" = %eps, "weight_bias" = %weight_bias, "scale_min" = %scale_min, "quant" = %quant,
      "scale_layout" = %scale_layout, "group_size" = %group_size, "scale_is" = %scale_is,
      "norm_input" = %norm_input, "scale_type" = %scale_type, "norm_rounding" = %norm_rounding
    }
  }

  // [quant, scales] = codes and scales of %x, as all_reduce_norm makes them of its norm.
  irdl.operation @quantize {
    %x = irdl.any
    %scale = irdl.any
    irdl.operands(x: %x, scale: optional %scale)
    %quant_out = irdl.any
    %scales_out = irdl.any
    irdl.results(quant: optional %quant_out, scales: optional %scales_out)
    %scale_min = irdl.base "#builtin.float"
    %group_size = irdl.base "#builtin.integer"
    %fp8_static = irdl.is "fp8_static"
    %fp8_token = irdl.is "fp8_token"
    %fp8_group = irdl.is "fp8_group"
    %nvfp4 = irdl.is "nvfp4"
    %mxfp8 = irdl.is "mxfp8"
    %mxfp4 = irdl.is "mxfp4"
    %quant = irdl.any_of(%fp8_static, %fp8_token, %fp8_group, %nvfp4, %mxfp8, %mxfp4)
    %linear = irdl.is "linear"
    %swizzled_128x4 = irdl.is "swizzled_128x4"
    %swizzled_8x4 = irdl.is "swizzled_8x4"
    %column_major = irdl.is "column_major"
    %scale_layout = irdl.any_of(%linear, %swizzled_128x4, %swizzled_8x4, %column_major)
    %divisor = irdl.is "divisor"
    %multiplier = irdl.is "multiplier"
    %scale_is = irdl.any_of(%divisor, %multiplier)
    %f32 = irdl.is "f32"
    %e4m3 = irdl.is "e4m3"
    %ue8m0 = irdl.is "ue8m0"
    %scale_type = irdl.any_of(%f32, %e4m3, %ue8m0)
    irdl.attributes {
      "scale_min" = %scale_min, "quant" = %quant, "scale_layout" = %scale_layout, "group_size" = %group_size,
      "scale_is" = %scale_is, "scale_type" = %scale_type
    }
  }

  // [out, quant] = act(%gate) * %up, + %up or alone, and the codes of that.
  irdl.operation @activate {
    %gate = irdl.any
    %up = irdl.any
    %scale = irdl.any
    irdl.operands(gate: %gate, up: optional %up, scale: optional %scale)
    %out = irdl.any
    %quant_out = irdl.any
    irdl.results(out: optional %out, quant: optional %quant_out)
    %silu = irdl.is "silu"
    %gelu_tanh = irdl.is "gelu_tanh"
    %gelu = irdl.is "gelu"
    %no_act = irdl.is "none"
    %activation = irdl.any_of(%silu, %gelu_tanh, %gelu, %no_act)
    %mul = irdl.is "mul"
    %add = irdl.is "add"
    %alone = irdl.is "none"
    %combine = irdl.any_of(%mul, %add, %alone)
    %none = irdl.is "none"
    %act = irdl.is "act"
    %each = irdl.is "each"
    %rounding = irdl.any_of(%none, %act, %each)
    %no_quant = irdl.is "none"
    %fp8_static = irdl.is "fp8_static"
    %quant = irdl.any_of(%no_quant, %fp8_static)
    %divisor = irdl.is "divisor"
    %multiplier = irdl.is "multiplier"
    %scale_is = irdl.any_of(%divisor, %multiplier)
    irdl.attributes {
      "activation" = %activation, "combine" = %combine, "rounding" = %rounding, "quant" = %quant,
      "scale_is" = %scale_is
    }
  }

  // %out = %x in the result's element type, or its two dimensions exchanged.
  irdl.operation @copy {
    %x = irdl.any
    irdl.operands(x: %x)
    %out = irdl.any
    irdl.results(out: %out)
    %transposed = irdl.base "#builtin.integer"
    irdl.attributes {"transposed" = %transposed}
  }
}
