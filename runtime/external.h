/* external.h: calls into C functions of libraries that the user named.
 *
 * A description may declare a function by its C signature; which library has it is
 * said by the user alone (`--plugin PATH`). A plan carries the symbol and the
 * arguments; libffi makes the call from them.
 *
 *   void scale(const float *x, float *y, int64_t count, double factor);
 *
 * A symbol counts only where the plugin itself defines it: what a plugin is linked
 * against (the C library above all) cannot be reached from a description. */
#ifndef POA_RUNTIME_EXTERNAL_H
#define POA_RUNTIME_EXTERNAL_H

#include "runtime/plan.h"

typedef struct poa_plugins poa_plugins;
typedef struct poa_external_call poa_external_call;

/* Opens the `count` shared libraries at `paths` (never searched for in library folders).
 * Opening runs their constructors. On success *plugins is the caller's, to be closed
 * after every call made through it is freed. Fails with POA_IO, naming the file. */
poa_status poa_plugins_open(poa_plugins **plugins, int count, const char *const *paths,
                            poa_error *error);
void poa_plugins_close(poa_plugins *plugins);

/* Makes `external` callable: finds the symbol (the first plugin that has it wins; `plugins`
 * may be NULL: none) and prepares the argument list. `buffer_count` is how many buffers
 * the launch has. `external` must outlive the call. Fails with POA_BAD_INPUT where the symbol is
 * missing (the message lists the plugins searched) or an argument does not fit. */
poa_status poa_external_call_create(poa_external_call **call, const poa_plugins *plugins,
                                    const poa_plan_external *external, int buffer_count,
                                    poa_error *error);
void poa_external_call_free(poa_external_call *call);

/* Calls the function on `buffers`, the launch's. A value it returns is ignored. One thread
 * at a time. */
void poa_external_call_run(poa_external_call *call, void *const *buffers);

#endif
