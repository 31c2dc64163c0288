/* session.h: a model at work, its plans compiled when they are first asked for. */
#ifndef POA_DRIVER_SESSION_H
#define POA_DRIVER_SESSION_H

#include "codegen/library.h"
#include "driver/driver.h"
#include "program/supernet.h"

typedef struct poa_session {
  poa_model *model;
  poa_target target;
  bool bf16; /* products of training steps */
  poa_kernel_library *library;
  poa_plugins *plugins;
  _Atomic(poa_arena *) spare; /* memory for the next compilation, or NULL */
  poa_supernet net;           /* refers to the session, which must stay where it is */
} poa_session;

/* Opens `model` (taken over, also on failure) for the CPU, cache, threads and plugins of `flags`.
 * Close with poa_session_close, also after a failure. */
poa_status poa_session_open(poa_session *session, poa_model *model, const poa_flags *flags,
                            poa_error *error);
void poa_session_close(poa_session *session);

#endif
