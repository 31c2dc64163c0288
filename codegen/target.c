/* target.c: the CPU that code is for, this machine's or one named by the user.
 *
 * LLVM's C interface tells the name and features of this machine, but not those of
 * a named CPU: asked for an unknown name it prints a warning and goes on. So the
 * names we accept stand in a table, each with what it adds to the row it builds on,
 * limited to what code generation can use (no system or cryptographic extensions).
 * After LLVM 19's X86TargetParser.cpp. A machine that the table lacks still
 * works as "native". */
#include "codegen/codegen.h"

#include <llvm-c/Target.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_LENGTH 32     /* of a CPU, with the terminator */
#define FEATURE_LENGTH 512 /* of the features of a row and all it builds on */

#define ICE_LAKE                                                                                   \
  "avx512ifma,avx512vbmi,avx512vbmi2,avx512vnni,avx512bitalg,avx512vpopcntdq,gfni,prfchw"
#define SIERRA_FOREST "avxifma,avxneconvert,avxvnniint8,cmpccxadd"

typedef struct cpu_row {
  const char *architecture; /* first part of the triple */
  const char *name, *base;  /* base: the row it builds on, or NULL */
  const char *adds;
} cpu_row;

static const cpu_row cpus[] = {
    {"x86_64", "x86-64", NULL, "sse,sse2,cx8,fxsr,mmx"},
    {"x86_64", "x86-64-v2", "x86-64", "sse3,ssse3,sse4.1,sse4.2,popcnt,cx16,sahf"},
    {"x86_64", "x86-64-v3", "x86-64-v2", "avx,avx2,bmi,bmi2,f16c,fma,lzcnt,movbe"},
    {"x86_64", "x86-64-v4", "x86-64-v3", "avx512f,avx512bw,avx512cd,avx512dq,avx512vl"},
    {"x86_64", "nehalem", "x86-64-v2", ""},
    {"x86_64", "westmere", "x86-64-v2", ""},
    {"x86_64", "sandybridge", "x86-64-v2", "avx"},
    {"x86_64", "ivybridge", "sandybridge", "f16c"},
    {"x86_64", "haswell", "x86-64-v3", ""},
    {"x86_64", "broadwell", "x86-64-v3", "prfchw"},
    {"x86_64", "skylake", "broadwell", ""},
    {"x86_64", "skylake-avx512", "x86-64-v4", "prfchw"},
    {"x86_64", "cascadelake", "skylake-avx512", "avx512vnni"},
    {"x86_64", "cooperlake", "cascadelake", "avx512bf16"},
    {"x86_64", "icelake-client", "x86-64-v4", ICE_LAKE},
    {"x86_64", "icelake-server", "x86-64-v4", ICE_LAKE},
    {"x86_64", "rocketlake", "x86-64-v4", ICE_LAKE},
    {"x86_64", "tigerlake", "x86-64-v4", ICE_LAKE ",avx512vp2intersect"},
    {"x86_64", "sapphirerapids", "icelake-server", "avx512bf16,avx512fp16,avxvnni"},
    {"x86_64", "emeraldrapids", "sapphirerapids", ""},
    {"x86_64", "graniterapids", "sapphirerapids", ""},
    {"x86_64", "gracemont", "x86-64-v3", "avxvnni,gfni,prfchw"},
    {"x86_64", "alderlake", "gracemont", ""},
    {"x86_64", "raptorlake", "gracemont", ""},
    {"x86_64", "meteorlake", "gracemont", ""},
    {"x86_64", "arrowlake", "gracemont", SIERRA_FOREST},
    {"x86_64", "lunarlake", "gracemont", SIERRA_FOREST ",avxvnniint16"},
    {"x86_64", "sierraforest", "gracemont", SIERRA_FOREST},
    {"x86_64", "silvermont", "x86-64-v2", "movbe,prfchw"},
    {"x86_64", "goldmont", "silvermont", ""},
    {"x86_64", "tremont", "silvermont", "gfni"},
    {"x86_64", "btver2", "ivybridge", "bmi,lzcnt,movbe,prfchw,sse4a"},
    {"x86_64", "znver1", "x86-64-v3", "prfchw,sse4a"},
    {"x86_64", "znver2", "znver1", ""},
    {"x86_64", "znver3", "znver1", ""},
    {"x86_64", "znver4", "x86-64-v4", ICE_LAKE ",avx512bf16,sse4a"},
    {"x86_64", "znver5", "znver4", "avx512vp2intersect,avxvnni"},
    {"aarch64", "generic", NULL, "fp-armv8,neon"},
    {"aarch64", "cortex-a72", "generic", "crc"},
    {"aarch64", "neoverse-n1", "cortex-a72", "lse"},
};

#define NAMED_CPUS (sizeof cpus / sizeof cpus[0])

static const cpu_row *find_cpu(const char *architecture, const char *name) {
  for (size_t i = 0; i < NAMED_CPUS; ++i)
    if (strcmp(cpus[i].architecture, architecture) == 0 && strcmp(cpus[i].name, name) == 0)
      return &cpus[i];
  return NULL;
}

/* Levenshtein's distance, over one row of the table of prefixes. */
static int edit_distance(const char *a, const char *b) {
  int row[NAME_LENGTH + 1], length = (int)strlen(b);
  for (int j = 0; j <= length; ++j)
    row[j] = j;
  for (int i = 1; a[i - 1]; ++i) {
    int diagonal = row[0];
    row[0] = i;
    for (int j = 1; j <= length; ++j) {
      int replace = diagonal + (a[i - 1] != b[j - 1]);
      int insert = (row[j - 1] < row[j] ? row[j - 1] : row[j]) + 1;
      diagonal = row[j];
      row[j] = replace < insert ? replace : insert;
    }
  }
  return row[length];
}

static const char *nearest_name(const char *architecture, const char *name) {
  const char *nearest = "native";
  int best = edit_distance(name, nearest);
  for (size_t i = 0; i < NAMED_CPUS; ++i) {
    int distance = edit_distance(name, cpus[i].name);
    if (strcmp(cpus[i].architecture, architecture) == 0 && distance < best)
      nearest = cpus[i].name, best = distance;
  }
  return nearest;
}

/* Is "+feature" an item of the comma-separated list? */
static bool has_feature(const char *features, const char *feature, size_t length) {
  for (const char *item = features; item; item = strchr(item, ',')) {
    item += *item == ',';
    if (item[0] == '+' && strncmp(item + 1, feature, length) == 0 &&
        (item[length + 1] == ',' || item[length + 1] == '\0'))
      return true;
  }
  return false;
}

/* Appends a row's features to `features` as "+a,+b", the ones it builds on first. */
static void collect_features(const cpu_row *row, char features[FEATURE_LENGTH]) {
  if (row->base)
    collect_features(find_cpu(row->architecture, row->base), features);
  size_t used = strlen(features);
  for (const char *item = row->adds; *item;) {
    int length = (int)strcspn(item, ",");
    used += (size_t)snprintf(features + used, FEATURE_LENGTH - used, "%s+%.*s", used ? "," : "",
                             length, item);
    item += length + (item[length] == ',');
  }
}

/* Writes to `missing` what `wanted` has and `present` lacks, separated by commas. */
static bool list_missing(const char *wanted, const char *present, char missing[FEATURE_LENGTH]) {
  size_t used = 0;
  missing[0] = '\0';
  for (const char *item = wanted; *item;) {
    int length = (int)strcspn(item, ",");
    if (!has_feature(present, item + 1, (size_t)length - 1))
      used += (size_t)snprintf(missing + used, FEATURE_LENGTH - used, "%s%.*s", used ? ", " : "",
                               length - 1, item + 1);
    item += length + (item[length] == ',');
  }
  return used > 0;
}

static poa_status set_named(poa_target *target, const char *architecture, const char *name,
                            const char *host_cpu, const char *host_features, poa_error *error) {
  const cpu_row *row = find_cpu(architecture, name);
  if (!row)
    return poa_fail(error, POA_BAD_INPUT,
                    "unknown CPU '%.40s' for %s; did you mean '%s'? 'native' is this machine (%s)",
                    name, architecture, nearest_name(architecture, name), host_cpu);
  char features[FEATURE_LENGTH] = "", missing[FEATURE_LENGTH];
  collect_features(row, features);
  if (list_missing(features, host_features, missing))
    return poa_fail(error, POA_UNSUPPORTED,
                    "CPU '%s' needs %s, which this machine (%s) lacks; choose 'native' or a "
                    "lower level such as 'x86-64-v3'",
                    name, missing, host_cpu);
  snprintf(target->cpu, sizeof target->cpu, "%s", name);
  target->features = strdup(features);
  return target->features ? POA_OK : poa_fail(error, POA_NO_MEMORY, "out of memory");
}

static poa_status set_native(poa_target *target, const char *host_cpu, const char *host_features,
                             poa_error *error) {
  snprintf(target->cpu, sizeof target->cpu, "%s", host_cpu);
  target->features = strdup(host_features);
  return target->features ? POA_OK : poa_fail(error, POA_NO_MEMORY, "out of memory");
}

static bool enabled(const poa_target *target, const char *feature) {
  return has_feature(target->features, feature, strlen(feature));
}

static void set_vectors(poa_target *target, const char *architecture) {
  bool avx512 = enabled(target, "avx512f"), aarch64 = strcmp(architecture, "aarch64") == 0;
  target->vector_lanes = avx512 ? 16 : enabled(target, "avx") ? 8 : 4;
  target->vector_count = avx512 || aarch64 ? 32 : 16;
  target->has_fma = aarch64 || enabled(target, "fma");
}

/* LLVM's table of targets is global to the process, and filling it is not safe in two
 * threads at once. */
static void register_native_target(void) {
  LLVMInitializeNativeTarget();
  LLVMInitializeNativeAsmPrinter();
}

poa_status poa_target_init(poa_target *target, const char *cpu, poa_error *error) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, register_native_target);
  memset(target, 0, sizeof *target);
  char *triple = LLVMGetDefaultTargetTriple();
  char *host_cpu = LLVMGetHostCPUName(), *host_features = LLVMGetHostCPUFeatures();
  char architecture[NAME_LENGTH];
  snprintf(target->triple, sizeof target->triple, "%s", triple);
  snprintf(architecture, sizeof architecture, "%.*s", (int)strcspn(triple, "-"), triple);
  poa_status status = !cpu || strcmp(cpu, "native") == 0
                          ? set_native(target, host_cpu, host_features, error)
                          : set_named(target, architecture, cpu, host_cpu, host_features, error);
  if (status == POA_OK)
    set_vectors(target, architecture);
  LLVMDisposeMessage(host_features);
  LLVMDisposeMessage(host_cpu);
  LLVMDisposeMessage(triple);
  return status;
}

void poa_target_free(poa_target *target) {
  free(target->features);
  memset(target, 0, sizeof *target);
}

LLVMTargetMachineRef poa_target_machine(const poa_target *target, poa_error *error) {
  LLVMTargetRef llvm_target;
  char *message = NULL;
  if (LLVMGetTargetFromTriple(target->triple, &llvm_target, &message)) {
    poa_fail(error, POA_UNSUPPORTED, "LLVM cannot compile for %s: %s", target->triple, message);
    LLVMDisposeMessage(message);
    return NULL;
  }
  LLVMTargetMachineRef machine =
      LLVMCreateTargetMachine(llvm_target, target->triple, target->cpu, target->features,
                              LLVMCodeGenLevelAggressive, LLVMRelocPIC, LLVMCodeModelDefault);
  if (!machine)
    poa_fail(error, POA_UNSUPPORTED, "LLVM has no code generator for %s", target->triple);
  return machine;
}
