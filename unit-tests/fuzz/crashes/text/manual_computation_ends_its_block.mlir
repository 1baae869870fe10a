func.func @fewer_results(%x: tensor<4x32xbf16>) -> tensor<4x32xbf16> {
  %0 = "sdy.manual_computation"(%x) ({
  ^bb0(%a: tensor<4x32xbf16>):
    "sdy.return"() : () -> ()
  }) : (tensor<4x32xbf16>) -> tensor<4x32xbf16>
  // expected-error@+1 {{result 0 is none of the manual computation's}}
}
