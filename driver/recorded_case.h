/* recorded_case.h: a recorded step: what went in and what came out. */
#ifndef POA_DRIVER_RECORDED_CASE_H
#define POA_DRIVER_RECORDED_CASE_H

#include <jansson.h>

#include "driver/driver.h"
#include "driver/session.h"
#include "runtime/safetensors.h"

typedef struct poa_case {
  poa_safetensors *file;
  json_t *config, *choice, *step; /* of the metadata; choice and step may be NULL */
} poa_case;

/* Opens the file and its metadata. Close with poa_case_close, also after a failure. */
poa_status poa_case_open(poa_case *recorded, const char *path, poa_error *error);
void poa_case_close(poa_case *recorded);

/* Appends to flags->overrides what the case says of the model's constants: `config`,
 * `batch_size`, and the extents of inputs that are constants' names. What the user set
 * stays in force. Strings belong to `arena`. */
poa_status poa_case_overrides(const poa_case *recorded, poa_model *model, poa_arena *arena,
                              poa_flags *flags, poa_error *error);
/* `choice`: the values of the elastic names in order, flattened. */
poa_status poa_case_point(const poa_case *recorded, const poa_lattice *lattice, poa_point *point,
                          poa_error *error);
/* Fills parameters: tensor SET.NAME, or the number X0 of `step` for set or state X. */
poa_status poa_case_fill_parameters(const poa_case *recorded, poa_session *session,
                                    poa_error *error);
/* Fills inputs: tensor in.NAME, padded with zeros, or the number NAME of `step`. */
poa_status poa_case_fill_inputs(const poa_case *recorded, const poa_program_at *program,
                                poa_error *error);

#endif
