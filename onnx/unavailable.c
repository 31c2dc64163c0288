/* unavailable.c: stands for this folder where protobuf-c or ONNX's schema was missing. */
#include "onnx/export.h"

bool poa_onnx_available(void) {
  return false;
}

poa_status poa_onnx_write(const poa_onnx_export *export, const char *path, poa_error *error) {
  (void)export;
  (void)path;
  return poa_fail(error, POA_UNSUPPORTED,
                  "this poa was built without ONNX: install libprotobuf-c-dev, protobuf-c-compiler "
                  "and libonnx-dev, and build it again");
}
