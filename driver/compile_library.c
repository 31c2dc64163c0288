#include "driver/compile.h"
poa_status poa_compile_library(poa_compilation *c, poa_aot_form form, bool shared,
                               poa_error *error) {
  (void)c;
  (void)form;
  (void)shared;
  return poa_fail(error, POA_UNSUPPORTED, "soon");
}
