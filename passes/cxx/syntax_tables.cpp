// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// How the ops of each project are written: one row a form, with every op that has it. syntax.h
// explains the words. Ops that print in generic form only (collectives, case, if, gather, scatter,
// sort, ...) have no row.
#include "syntax.h"

namespace fiar {

static const OpSyntax stablehlo_rows[] = {
    // Elementwise.
    {"abs ceil convert count_leading_zeros floor imag negate not popcnt real round_nearest_afz "
     "round_nearest_even sign uniform_quantize uniform_dequantize",
     "% {} :same", ""},
    {"cbrt cosine exponential exponential_minus_one log log_plus_one logistic rsqrt sine sqrt tan tanh",
     "% {} :same", "result_accuracy"},
    {"add and atan2 divide maximum minimum multiply or power remainder shift_left "
     "shift_right_arithmetic shift_right_logical subtract xor",
     "% , % {} :same", ""},
    {"complex", "% , % {} :complex", ""},
    {"is_finite", "% {} :function", ""},
    {"clamp", "% , % , % {} :same", ""},
    {"select", "% , % , % {} :select", ""},
    {"compare",
     "comparison_direction:enum , % , % (? , compare_type:enum=comparison_type )? {} :function",
     ""},
    {"reduce_precision", "% , format = @exponent_mantissa {} :same", ""},
    // Creation.
    {"constant", "@constant", ""},
    {"iota", "dim = iota_dimension:i64 {} :result", ""},
    {"dynamic_iota", "% , dim = iota_dimension:i64 {} :function", ""},
    {"create_token partition_id replica_id", "{} :result", ""},
    {"after_all", "%* {} :same", ""},
    {"rng", "% , % , % , distribution = rng_distribution:enum {} :function", ""},
    {"rng_bit_generator", "% , algorithm = rng_algorithm:enum {} :function", ""},
    // Shapes.
    {"bitcast_convert reshape", "% {} :function", ""},
    {"dynamic_reshape dynamic_update_slice real_dynamic_slice dynamic_pad", "%* {} :function", ""},
    {"broadcast", "% , sizes = broadcast_sizes:i64s {} :function", ""},
    {"broadcast_in_dim", "% , dims = broadcast_dimensions:i64s {} :function", ""},
    {"dynamic_broadcast_in_dim", "% , % , dims = broadcast_dimensions:i64s {} :function",
     "known_expanding_dimensions known_nonexpanding_dimensions"},
    {"transpose", "% , dims = permutation:i64s {} :function", ""},
    {"reverse", "% , dims = dimensions:i64s {} :same", ""},
    {"concatenate", "%,* dim = dimension:i64 {} :function", ""},
    {"get_dimension_size", "% , dim = dimension:i64 {} :function", ""},
    {"set_dimension_size", "% , % , dim = dimension:i64 {} :function", ""},
    {"slice", "% @slice {} :function", ""},
    {"dynamic_slice", "% , %,* sizes = slice_sizes:i64s {} :function", ""},
    {"pad",
     "% , % , low = edge_padding_low:i64s , high = edge_padding_high:i64s , interior = "
     "interior_padding:i64s {} :function",
     ""},
    // Products.
    {"dot", "% , % @precision {} :function", "precision_config"},
    {"dot_general", "% , % , @dot_dims @precision {} :function", "precision_config algorithm"},
    {"convolution", "( % , % ) dim_numbers = @conv_dims , window = { @window } {} :function",
     "batch_group_count feature_group_count precision_config"},
    {"einsum", "% , % , config = einsum_config:string {} :function", ""},
    {"unary_einsum", "% , config = einsum_config:string {} :function", ""},
    {"cholesky", "% (? , lower = lower:bool )? {} :same", ""},
    {"fft", "% , type = fft_type:enum , length = fft_length:i64s {} :function", ""},
    // Tuples, calls and control flow.
    {"tuple", "%* {} :tuple", ""},
    {"get_tuple_element", "% [ index:i32 ] {} :function", ""},
    {"custom_call", "call_target_name:symbol ( %* ) {} :function",
     "has_side_effect backend_config api_version called_computations operand_layouts result_layouts "
     "output_operand_aliases result_tilings"},
    {"composite", "name:string %* @regions {} :function",
     "composite_attributes decomposition version"},
    {"optimization_barrier", "@barrier", ""},
    {"reduce", "@reduce", ""},
    {"while", "@while_loop", ""},
    {"return", "@returned", ""},
};

// MHLO, where it is written as StableHLO is; and its own ops.
static const OpSyntax mhlo_rows[] = {
    {"copy erf", "% {} :same", "result_accuracy"},
    {"stochastic_convert", "% , % {} :function", ""},
    {"add_dependency", "% , % {} :function", ""},
    {"topk", "( % , k = k:i64 (? , largest = largest:bool )? ) {} :arrow", ""},
};

static const OpSyntax chlo_rows[] = {
    {"_asin_acos_kernel acos acosh asin asinh atan atanh bessel_i1e conj cosh digamma erf erf_inv erfc "
     "is_inf is_neg_inf is_pos_inf lgamma sinh square tan",
     "% {} :arrow", ""},
    {"next_after polygamma zeta mulhi", "% , % {} :arrow", ""},
    {"broadcast_add broadcast_and broadcast_atan2 broadcast_complex broadcast_divide broadcast_maximum "
     "broadcast_minimum broadcast_multiply broadcast_next_after broadcast_or broadcast_polygamma "
     "broadcast_power broadcast_remainder broadcast_shift_left broadcast_shift_right_arithmetic "
     "broadcast_shift_right_logical broadcast_subtract broadcast_xor broadcast_zeta",
     "% , % {} :function", "broadcast_dimensions"},
    {"broadcast_compare", "% , % {} :function",
     "broadcast_dimensions comparison_direction compare_type"},
    {"broadcast_select", "% , % , % {} :function", ""},
    {"constant", "@constant", ""},
    {"top_k", "( % , k = k:i64 (? , is_stable = is_stable:bool )? ) {} :arrow", ""},
    {"scan", "@scan", "scan_dim_size is_reverse is_associative"},
};

static const OpSyntax sdy_rows[] = {
    {"mesh", "sym_name:symbol = mesh:text {}", ""},
    {"sharding_constraint reshard", "% sharding:text {} :same", ""},
    {"all_reduce",
     "@reduction reduction_axes:text=axis_ref_list % out_sharding = out_sharding:text=sharding {} :same",
     ""},
    {"reduce_scatter",
     "@reduction reduce_scatter_axes:text=list_of_axis_ref_lists % out_sharding = out_sharding:text=sharding {} :same",
     ""},
    {"all_gather",
     "gathering_axes:text=list_of_axis_ref_lists % out_sharding = out_sharding:text=sharding {} :same",
     ""},
    {"all_slice",
     "slicing_axes:text=list_of_axis_ref_lists % out_sharding = out_sharding:text=sharding {} :same",
     ""},
    {"all_to_all",
     "params:text=all_to_all_param_list % out_sharding = out_sharding:text=sharding {} :same", ""},
    {"sharded_to_unreduced",
     "axes:text=list_of_axis_ref_lists % out_sharding = out_sharding:text=sharding {} :same", ""},
    {"replicated_to_unreduced",
     "axes:text=axis_ref_list % out_sharding = out_sharding:text=sharding {} :same", ""},
    {"collective_permute", "% out_sharding = out_sharding:text=sharding {} :same", ""},
    {"data_flow_edge", "% (? sharding = sharding:text )? {} :same", ""},
    {"func_data_flow_edge", "% {} :same", ""},
    {"propagation_barrier",
     "% allowed_direction = allowed_direction:choice=NONE|FORWARD|BACKWARD|BOTH {} :same", ""},
    {"sharding_group", "% group_id = group_id:i64 {} :operands", ""},
    {"constant", "@constant", ""},
    {"manual_computation",
     "( %* ) in_shardings = in_shardings:angled=sharding_per_value out_shardings = "
     "out_shardings:angled=sharding_per_value manual_axes = manual_axes:text @body {} :function",
     ""},
    {"named_computation",
     "< name:string > ( %* ) (? in_shardings = in_shardings:angled=sharding_per_value )? (? "
     "out_shardings = out_shardings:angled=sharding_per_value )? @body {} :function",
     ""},
    {"return", "@returned", ""},
};

static const OpSyntax torch_rows[] = {
    {"constant.bool constant.device constant.float constant.int constant.none constant.number constant.str",
     "@torch_constant", ""},
    {"tensor.literal vtensor.literal", "( value:any ) {} :result", ""},
    {"copy.to_tensor copy.to_vtensor", "@torch_copy", ""},
    {"overwrite.tensor.contents", "% overwrites % {} :operands", ""},
    {"prim.If", "@torch_if", ""},
    {"prim.If.yield", "@returned", ""},
    {"runtime.assert", "@torch_assert", ""},
    {"symbolic_int", "symbol_name:string {} :result", "min_val max_val"},
    {"bind_symbolic_shape", "@torch_shape", ""},
    {"derefine tensor_static_info_cast", "% {} :to", ""},
    {"operator", "name:string ( %* ) {} :function @bare_regions", ""},
};
const OpSyntax torch_fallback = {"", "@torch_op", ""};

static const OpSyntax ttcore_rows[] = {
    {"device_module cpu_module", "@attributes @region", ""},
    {"device", "sym_name:symbol = device_attr:text=device {}", ""},
    {"get_global", "sym_name:symbol {} :result", ""},
    {"load_cached", "( callee:any , [ %* ] ) {} :function", ""},
    {"tuple", "%* {} :tuple", ""},
    {"get_tuple_element", "% [ index:i32 ] {} :function", ""},
};

static const OpSyntax ttir_rows[] = {
    {"empty", "( ) {} :result", ""},
};

#define GENERIC_BY(tool) tool " --mlir-print-op-generic FILE"
#define GENERIC_BY_STABLEHLO  \
  GENERIC_BY("stablehlo-opt") \
  "; in JAX: lowered.compiler_ir().operation.get_asm(print_generic_op_form=True)"

const DialectSyntax dialect_syntaxes[dialect_count] = {
    {"stablehlo", stablehlo_rows, {}, nullptr, GENERIC_BY_STABLEHLO},
    {"chlo", chlo_rows, {}, nullptr, GENERIC_BY_STABLEHLO},
    {"mhlo", stablehlo_rows, mhlo_rows, nullptr, GENERIC_BY("mlir-hlo-opt")},
    {"sdy", sdy_rows, {}, nullptr, GENERIC_BY("sdy_opt")},
    {"mpmd", {}, {}, nullptr, GENERIC_BY("mpmd_opt")},
    {"vhlo", {}, {}, nullptr, "stablehlo-translate --deserialize FILE"},
    {"torch", torch_rows, {}, &torch_fallback, GENERIC_BY("torch-mlir-opt")},
    {"torch_c", {}, {}, &torch_fallback, GENERIC_BY("torch-mlir-opt")},
    {"ttcore", ttcore_rows, {}, nullptr, GENERIC_BY("ttmlir-opt")},
    {"ttir", ttir_rows, {}, nullptr, GENERIC_BY("ttmlir-opt")},
    {"ttnn", {}, {}, nullptr, GENERIC_BY("ttmlir-opt")},
    {"mesh", {}, {}, nullptr, GENERIC_BY("LLVM 20's mlir-opt")},
    {"flow", {}, {}, nullptr, GENERIC_BY("iree-opt")},
    {"stream", {}, {}, nullptr, GENERIC_BY("iree-opt")},
    {"hal", {}, {}, nullptr, GENERIC_BY("iree-opt")},
    {"util", {}, {}, nullptr, GENERIC_BY("iree-opt")},
    {"tf", {}, {}, nullptr, GENERIC_BY("tf-opt")},
    {"tfl", {}, {}, nullptr, GENERIC_BY("tf-opt")},
    {"onnx", {}, {}, nullptr, GENERIC_BY("onnx-mlir-opt")},
    {"krnl", {}, {}, nullptr, GENERIC_BY("onnx-mlir-opt")},
};

}  // namespace fiar
