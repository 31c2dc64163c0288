/* error.c: failures as values with a message the user can act on. */
#include <stdio.h>
#include <string.h>

#include "poa.h"

poa_status poa_fail(poa_error *error, poa_status status, const char *format, ...) {
  if (!error)
    return status;
  if (error->status != POA_OK)
    return error->status;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(error->message, sizeof error->message, format, arguments);
  va_end(arguments);
  error->status = status;
  return status;
}

poa_status poa_context(poa_error *error, const char *format, ...) {
  if (!error || error->status == POA_OK)
    return error ? error->status : POA_OK;
  char context[sizeof error->message];
  va_list arguments;
  va_start(arguments, format);
  int used = vsnprintf(context, sizeof context, format, arguments);
  va_end(arguments);
  if (used < 0 || (size_t)used + 3 >= sizeof context)
    return error->status;
  snprintf(context + used, sizeof context - (size_t)used, ": %.*s",
           (int)(sizeof context - (size_t)used - 3), error->message);
  memcpy(error->message, context, sizeof context);
  return error->status;
}
