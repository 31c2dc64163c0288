/* parameter_store.h: the memory of every parameter set and state of a model.
 *
 * One block holds them all at the offsets that the plan gives. Initial values are
 * drawn from a stream named by the seed and the parameter's name, so a parameter
 * gets the same numbers whatever else the model holds, in any order and on any
 * number of threads.
 *
 *   student "blocks.0.norm1.weight"   constant 1
 *   teacher "blocks.0.norm1.weight"   copy of student
 *   ""      "loss_scale"              a single state */
#ifndef POA_RUNTIME_PARAMETER_STORE_H
#define POA_RUNTIME_PARAMETER_STORE_H

#include "runtime/plan.h"

typedef struct poa_parameter_store poa_parameter_store;

/* Makes a store of zeros for the parameters of `plan`, which must outlive it. The caller owns
 * *store. Fails where a parameter lies outside the plan's bytes or is listed twice. */
poa_status poa_parameter_store_create(poa_parameter_store **store, const poa_plan *plan,
                                      poa_error *error);
/* The same over values that lie elsewhere, at the places that the plan says: `data` is only read,
 * never written nor freed, and must outlive the store. For plans that update nothing. */
poa_status poa_parameter_store_borrow(poa_parameter_store **store, const poa_plan *plan,
                                      const void *data, poa_error *error);
void poa_parameter_store_free(poa_parameter_store *store);

/* first_values.c */

/* Gives every parameter its initial value. `threads`: 0 means as many as OpenMP would take; it
 * does not change the values. Fails with POA_BAD_INPUT on an initializer that cannot be
 * followed (copy of what is not there, a circle of copies, a negative deviation). */
poa_status poa_parameter_store_initialize(poa_parameter_store *store, uint64_t seed, int threads,
                                          poa_error *error);

/* Gives the parameters that start as copies the present values of what they copy. */
poa_status poa_parameter_store_copy_sets(poa_parameter_store *store, poa_error *error);

/* parameter_store.c */

/* The whole block, POA_ALIGNMENT-aligned, and its size in bytes. Lives as long as the store. */
void *poa_parameter_store_data(const poa_parameter_store *store);
int64_t poa_parameter_store_bytes(const poa_parameter_store *store);

/* The plan that the store was made for. */
const poa_plan *poa_parameter_store_plan(const poa_parameter_store *store);

/* The parameter `name` of `set` ("" for single states), or NULL. Takes logarithmic time. */
const poa_plan_parameter *poa_parameter_store_find(const poa_parameter_store *store,
                                                   const char *set, const char *name);

/* Its values: float32, row-major in memory order (runtime/file_order.h says how that differs from
 * parameter->shape). Lives as long as the store. */
float *poa_parameter_store_values(const poa_parameter_store *store,
                                  const poa_plan_parameter *parameter);

/* How files call it: "SET.NAME", or "NAME" for a single state. Writes at most `bytes` with the
 * closing zero; returns the length of the whole key, as snprintf does. */
int poa_parameter_key(const poa_plan_parameter *parameter, char *key, size_t bytes);

#endif
