#include "driver/compile.h"
poa_status poa_compile_onnx(poa_compilation *c, poa_error *error) {
  (void)c;
  return poa_fail(error, POA_UNSUPPORTED, "soon");
}
