/* external.c: plugins through dlopen, calls through libffi. */
#include "runtime/external.h"

#include <dlfcn.h>
#include <errno.h>
#include <ffi.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct poa_plugins {
  int count;
  struct plugin {
    char *path;
    void *handle;
  } *all;
};

typedef union argument_value {
  int as_int;
  int64_t as_int64;
  float as_float;
  double as_double;
} argument_value;

struct poa_external_call {
  const poa_plan_external *external;
  void (*function)(void);
  ffi_cif interface;
  ffi_type **types;       /* one per argument */
  argument_value *values; /* constants of the plan */
  void **pointers;        /* to each argument's value, as libffi wants them */
};

/* Plugins */

/* dlopen searches the library folders for a name without a slash; we never want that. */
static char *explicit_path(const char *path) {
  char *copy = NULL;
  if (asprintf(&copy, "%s%s", strchr(path, '/') ? "" : "./", path) < 0)
    return NULL;
  return copy;
}

static poa_status open_plugin(struct plugin *plugin, const char *path, poa_error *error) {
  struct stat status;
  if (stat(path, &status) != 0)
    return poa_fail(error, POA_IO, "plugin '%s': %s; give the path of a shared library", path,
                    strerror(errno));
  if (!S_ISREG(status.st_mode))
    return poa_fail(error, POA_IO, "plugin '%s' is not a file; give the path of a shared library",
                    path);
  plugin->path = explicit_path(path);
  if (!plugin->path)
    return poa_fail(error, POA_NO_MEMORY, "out of memory while opening plugin '%s'", path);
  plugin->handle = dlopen(plugin->path, RTLD_NOW | RTLD_LOCAL);
  if (!plugin->handle)
    return poa_fail(error, POA_IO,
                    "cannot load plugin '%s': %s; it must be a shared library for "
                    "this machine (cc -shared -fPIC)",
                    path, dlerror());
  return POA_OK;
}

poa_status poa_plugins_open(poa_plugins **plugins, int count, const char *const *paths,
                            poa_error *error) {
  *plugins = NULL;
  poa_plugins *made = calloc(1, sizeof *made);
  struct plugin *all = calloc((size_t)count + 1, sizeof *all);
  if (!made || !all) {
    free(made);
    free(all);
    return poa_fail(error, POA_NO_MEMORY, "out of memory while opening plugins");
  }
  *made = (poa_plugins){.count = count, .all = all};
  for (int i = 0; i < count; i++) {
    poa_status status = open_plugin(&all[i], paths[i], error);
    if (status != POA_OK) {
      poa_plugins_close(made);
      return status;
    }
  }
  *plugins = made;
  return POA_OK;
}

void poa_plugins_close(poa_plugins *plugins) {
  if (!plugins)
    return;
  for (int i = 0; i < plugins->count; i++) {
    if (plugins->all[i].handle)
      dlclose(plugins->all[i].handle);
    free(plugins->all[i].path);
  }
  free(plugins->all);
  free(plugins);
}

/* Symbols */

/* dlsym also looks into what the plugin is linked against. Were that allowed, a
 * description could call `system` of the C library. */
static bool defined_by(const struct plugin *plugin, void *address) {
  struct link_map *own = NULL, *found = NULL;
  Dl_info info;
  if (dlinfo(plugin->handle, RTLD_DI_LINKMAP, &own) != 0)
    return false;
  return dladdr1(address, &info, (void **)&found, RTLD_DL_LINKMAP) && found == own;
}

static void *find_symbol(const poa_plugins *plugins, const char *symbol) {
  for (int i = 0; plugins && i < plugins->count; i++) {
    void *address = dlsym(plugins->all[i].handle, symbol);
    if (address && defined_by(&plugins->all[i], address))
      return address;
  }
  return NULL;
}

static poa_status symbol_missing(const poa_plugins *plugins, const char *symbol, poa_error *error) {
  if (!plugins || plugins->count == 0)
    return poa_fail(error, POA_BAD_INPUT,
                    "external function '%s': no plugin was given; name the "
                    "library that defines it with --plugin PATH",
                    symbol);
  char list[1000] = "";
  size_t used = 0;
  for (int i = 0; i < plugins->count && used < sizeof list; i++)
    used += (size_t)snprintf(list + used, sizeof list - used, "%s'%s'", i ? ", " : "",
                             plugins->all[i].path);
  return poa_fail(error, POA_BAD_INPUT,
                  "external function '%s' is defined by none of the plugins "
                  "searched: %s; check its spelling, and that it is neither static nor hidden",
                  symbol, list);
}

/* Calls */

static poa_status bind_argument(poa_external_call *call, int index, int buffer_count,
                                poa_error *error) {
  const poa_plan_argument *argument = &call->external->arguments[index];
  argument_value *value = &call->values[index];
  call->pointers[index] = value;
  switch (argument->kind) {
  case POA_ARGUMENT_POINTER: /* its value is set at each call */
    call->types[index] = &ffi_type_pointer;
    if (argument->integer < 0 || argument->integer >= buffer_count)
      return poa_fail(error, POA_BAD_INPUT,
                      "external function '%s': argument %d points to buffer "
                      "%lld, but the call has %d buffers",
                      call->external->symbol, index + 1, (long long)argument->integer,
                      buffer_count);
    return POA_OK;
  case POA_ARGUMENT_INT:
    call->types[index] = &ffi_type_sint;
    if (argument->integer < INT_MIN || argument->integer > INT_MAX)
      return poa_fail(error, POA_BAD_INPUT,
                      "external function '%s': argument %d is %lld, which "
                      "does not fit a C int; declare it as int64",
                      call->external->symbol, index + 1, (long long)argument->integer);
    value->as_int = (int)argument->integer;
    return POA_OK;
  case POA_ARGUMENT_INT64:
    call->types[index] = &ffi_type_sint64;
    value->as_int64 = argument->integer;
    return POA_OK;
  case POA_ARGUMENT_FLOAT:
    call->types[index] = &ffi_type_float;
    value->as_float = (float)argument->real;
    return POA_OK;
  case POA_ARGUMENT_DOUBLE:
    call->types[index] = &ffi_type_double;
    value->as_double = argument->real;
    return POA_OK;
  }
  return poa_fail(error, POA_BAD_INPUT, "external function '%s': argument %d is of unknown kind %d",
                  call->external->symbol, index + 1, (int)argument->kind);
}

static poa_status bind_call(poa_external_call *call, const poa_plugins *plugins, int buffer_count,
                            poa_error *error) {
  const poa_plan_external *external = call->external;
  void *address = find_symbol(plugins, external->symbol);
  if (!address)
    return symbol_missing(plugins, external->symbol, error);
  memcpy(&call->function, &address, sizeof address); /* ISO C has no such cast, POSIX does */
  for (int i = 0; i < external->argument_count; i++) {
    poa_status status = bind_argument(call, i, buffer_count, error);
    if (status != POA_OK)
      return status;
  }
  if (ffi_prep_cif(&call->interface, FFI_DEFAULT_ABI, (unsigned)external->argument_count,
                   &ffi_type_void, call->types) != FFI_OK)
    return poa_fail(error, POA_UNSUPPORTED,
                    "external function '%s': libffi cannot prepare a call "
                    "with these %d arguments on this machine",
                    external->symbol, external->argument_count);
  return POA_OK;
}

poa_status poa_external_call_create(poa_external_call **call, const poa_plugins *plugins,
                                    const poa_plan_external *external, int buffer_count,
                                    poa_error *error) {
  *call = NULL;
  poa_external_call *made = calloc(1, sizeof *made);
  if (!made)
    return poa_fail(error, POA_NO_MEMORY, "out of memory for a call of '%s'", external->symbol);
  size_t slots = (size_t)external->argument_count + 1; /* never zero */
  made->external = external;
  made->types = calloc(slots, sizeof *made->types);
  made->values = calloc(slots, sizeof *made->values);
  made->pointers = calloc(slots, sizeof *made->pointers);
  poa_status status =
      made->types && made->values && made->pointers
          ? bind_call(made, plugins, buffer_count, error)
          : poa_fail(error, POA_NO_MEMORY, "out of memory for a call of '%s'", external->symbol);
  if (status != POA_OK) {
    poa_external_call_free(made);
    return status;
  }
  *call = made;
  return POA_OK;
}

void poa_external_call_free(poa_external_call *call) {
  if (!call)
    return;
  free(call->types);
  free(call->values);
  free(call->pointers);
  free(call);
}

void poa_external_call_run(poa_external_call *call, void *const *buffers) {
  const poa_plan_external *external = call->external;
  for (int i = 0; i < external->argument_count; i++)
    if (external->arguments[i].kind == POA_ARGUMENT_POINTER)
      call->pointers[i] = (void *)&buffers[external->arguments[i].integer];
  ffi_call(&call->interface, call->function, NULL, call->pointers);
}
