/* poa.h: the library behind the `poa` command.
 *
 * Every function that can fail returns a poa_status and takes, as its last
 * argument, a poa_error that receives the message. The first failure is kept:
 * a caller up the stack may add context with poa_context, never replace it. */
#ifndef POA_H
#define POA_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POA_VERSION "0.1.0"

typedef enum poa_status {
  POA_OK = 0,
  POA_BAD_INPUT,   /* the user's description, file, flag or data is wrong */
  POA_IO,          /* the system refused: a file, a thread, a library */
  POA_NO_MEMORY,   /* an allocation failed */
  POA_UNSUPPORTED, /* asked for something this build or machine lacks */
  POA_INTERRUPTED, /* a signal asked for an orderly stop */
} poa_status;

/* Receives the message of a failure. Zero-initialize before use; may be reused
 * after being zeroed again. `message` is complete and needs no prefix. */
typedef struct poa_error {
  poa_status status;
  char message[2000];
} poa_error;

/* Records a failure and returns `status`. Keeps an earlier failure if there is
 * one. `error` may be NULL. */
poa_status poa_fail(poa_error *error, poa_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "CONTEXT: " before the message of a recorded failure; returns its status. */
poa_status poa_context(poa_error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* "Did you mean": the candidate nearest to `name` in edit distance, or NULL if none is near. */
const char *poa_nearest(const char *name, const char *const *candidates, int count);

#endif
