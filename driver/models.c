/* models.c: finds descriptions: POA_MODELS, the folder the program was built with. */
#include <stdlib.h>

#include "driver/driver.h"

const char *poa_models_dir(void) {
  const char *folder = getenv("POA_MODELS");
  return folder && *folder ? folder : POA_MODELS_DIR;
}

poa_status poa_load_model(const poa_flags *flags, poa_model **model, poa_error *error) {
  poa_model_options options = {
      .path = flags->arguments[0],
      .models_dir = poa_models_dir(),
      .override_count = flags->override_count,
      .overrides = flags->overrides,
      .diagnostics = stderr,
  };
  return poa_model_load(model, &options, error);
}
