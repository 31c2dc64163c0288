/* precision.c: see precision.h. */
#include "driver/precision.h"

#include <string.h>

poa_status poa_precision_asked(const poa_flags *flags, bool *bf16, poa_error *error) {
  const char *asked = flags->precision ? flags->precision : "fp32";
  *bf16 = strcmp(asked, "bf16") == 0;
  if (*bf16 || strcmp(asked, "fp32") == 0)
    return POA_OK;
  return poa_fail(error, POA_BAD_INPUT, "--precision '%.40s': expected fp32 or bf16", asked);
}

poa_status poa_precision_of(const poa_flags *flags, const poa_target *target, bool *bf16,
                            poa_error *error) {
  poa_status status = poa_precision_asked(flags, bf16, error);
  if (status || !*bf16 || poa_target_has_bf16(target))
    return status;
  *bf16 = false;
  fprintf(stderr,
          "warning: --precision bf16 needs AVX512_BF16, which the CPU '%s' lacks: products are "
          "computed in fp32\n",
          target->cpu);
  return POA_OK;
}

const char *poa_precision_name(bool bf16) {
  return bf16 ? "bf16" : "fp32";
}
