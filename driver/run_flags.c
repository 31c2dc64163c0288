/* run_flags.c: see run_flags.h. */
#include "driver/run_flags.h"

poa_status poa_run_flags(const poa_checkpoint_info *info, poa_arena *arena, poa_flags *flags,
                         poa_error *error) {
  flags->arguments[0] = poa_arena_text(arena, info->model);
  flags->argument_count = 1;
  flags->seed = (int64_t)info->seed;
  flags->precision = poa_arena_text(arena, info->precision);
  flags->override_count = 0;
  return *info->overrides ? poa_overrides_split(info->overrides, arena, flags, error) : POA_OK;
}

const char *poa_join_overrides(const poa_flags *flags, poa_arena *arena) {
  const char *text = "";
  for (int i = 0; i < flags->override_count; i++)
    text = poa_arena_format(arena, "%s%s%s", text, i ? "," : "", flags->overrides[i]);
  return text;
}
