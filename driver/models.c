/* models.c: loads the description that a command is given. */
#include <limits.h>

#include "driver/driver.h"
#include "driver/install_paths.h"
#include "runtime/sources.h"

poa_status poa_load_model(const poa_flags *flags, poa_model **model, poa_error *error) {
  char models[PATH_MAX];
  poa_models_dir(models, sizeof models);
  poa_model_options options = {
      .path = flags->arguments[0],
      .models_dir = models,
      .override_count = flags->override_count,
      .overrides = flags->overrides,
      .diagnostics = flags->quiet ? NULL : stderr,
      .source_exists = poa_source_exists,
  };
  return poa_model_load(model, &options, error);
}
