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

static const char *nearest_name(const char *architecture, const char *name) {
  const char *names[NAMED_CPUS + 1] = {"native"};
  int count = 1;
  for (size_t i = 0; i < NAMED_CPUS; ++i)
    if (strcmp(cpus[i].architecture, architecture) == 0)
      names[count++] = cpus[i].name;
  return poa_nearest(name, names, count);
}

/* Whether the comma-separated list switches the feature on. */
static bool has_feature(const char *features, const char *feature, size_t length) {
  bool found = false;
  for (const char *item = features; item; item = strchr(item, ',')) {
    item += *item == ',';
    if ((item[0] == '+' || item[0] == '-') && strncmp(item + 1, feature, length) == 0 &&
        (item[length + 1] == ',' || item[length + 1] == '\0'))
      found = item[0] == '+'; /* the last one counts */
  }
  return found;
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
    if (*item == '+' && !has_feature(present, item + 1, (size_t)length - 1))
      used += (size_t)snprintf(missing + used, FEATURE_LENGTH - used, "%s%.*s", used ? ", " : "",
                               length - 1, item + 1);
    item += length + (item[length] == ',');
  }
  return used > 0;
}

/* What `cpu` asks for: "NAME[,+feature,-feature..]". */
typedef struct request {
  char name[NAME_LENGTH];
  const char *extras; /* ",+feature.." or "" */
} request;

static poa_status split_request(const char *cpu, request *r, poa_error *error) {
  size_t length = strcspn(cpu, ",");
  r->extras = cpu + length;
  if (length >= sizeof r->name)
    return poa_fail(error, POA_BAD_INPUT, "unknown CPU '%.60s'", cpu);
  snprintf(r->name, sizeof r->name, "%.*s", (int)length, cpu);
  return POA_OK;
}

/* Features that some row of the architecture names: others change no code of ours. */
static bool is_feature(const char *architecture, const char *feature, size_t length) {
  for (size_t i = 0; i < NAMED_CPUS; ++i) {
    if (strcmp(cpus[i].architecture, architecture) != 0)
      continue;
    for (const char *item = cpus[i].adds; *item;) {
      size_t here = strcspn(item, ",");
      if (here == length && strncmp(item, feature, length) == 0)
        return true;
      item += here + (item[here] == ',');
    }
  }
  return false;
}

static poa_status check_extras(const char *architecture, const char *extras, poa_error *error) {
  for (const char *item = extras; *item;) {
    item += *item == ',';
    size_t length = strcspn(item, ",");
    if ((*item != '+' && *item != '-') || !is_feature(architecture, item + 1, length - 1))
      return poa_fail(error, POA_BAD_INPUT,
                      "'%.*s' is no feature of %s: expected +NAME or -NAME, as +avx512bf16",
                      (int)length, item, architecture);
    item += length;
  }
  return POA_OK;
}

static poa_status set_features(poa_target *target, const char *name, const char *features,
                               const char *extras, poa_error *error) {
  snprintf(target->cpu, sizeof target->cpu, "%s", name);
  extras += !*features && *extras == ',';
  if (asprintf(&target->features, "%s%s", features, extras) >= 0)
    return POA_OK;
  target->features = NULL;
  return poa_fail(error, POA_NO_MEMORY, "out of memory");
}

static poa_status set_named(poa_target *target, const char *architecture, const request *r,
                            poa_error *error) {
  char features[FEATURE_LENGTH] = "";
  const cpu_row *row = find_cpu(architecture, r->name);
  if (row) {
    collect_features(row, features);
    return set_features(target, r->name, features, r->extras, error);
  }
  const char *nearest = nearest_name(architecture, r->name);
  return poa_fail(
      error, POA_BAD_INPUT, "unknown CPU '%.40s' for %s%s%s%s; 'native' is this machine", r->name,
      architecture, nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
}

/* Code that runs here and now must not need what this machine lacks. */
static poa_status check_machine(const poa_target *target, const char *host_cpu,
                                const char *host_features, poa_error *error) {
  char missing[FEATURE_LENGTH];
  if (!list_missing(target->features, host_features, missing))
    return POA_OK;
  return poa_fail(error, POA_UNSUPPORTED,
                  "CPU '%s' needs %s, which this machine (%s) lacks; choose 'native' or a "
                  "lower level such as 'x86-64-v3'",
                  target->cpu, missing, host_cpu);
}

bool poa_target_has(const poa_target *target, const char *feature) {
  return has_feature(target->features, feature, strlen(feature));
}

static void set_vectors(poa_target *target, const char *architecture) {
  bool avx512 = poa_target_has(target, "avx512f"), aarch64 = strcmp(architecture, "aarch64") == 0;
  target->vector_lanes = avx512 ? 16 : poa_target_has(target, "avx") ? 8 : 4;
  target->vector_count = avx512 || aarch64 ? 32 : 16;
  target->has_fma = aarch64 || poa_target_has(target, "fma");
}

/* LLVM's table of targets is global to the process, and filling it is not safe in two
 * threads at once. */
static void register_targets(void) {
  LLVMInitializeNativeTarget();
  LLVMInitializeNativeAsmPrinter();
  LLVMInitializeNativeAsmParser();
  LLVMInitializeX86TargetInfo();
  LLVMInitializeX86Target();
  LLVMInitializeX86TargetMC();
  LLVMInitializeX86AsmPrinter();
  LLVMInitializeX86AsmParser();
  LLVMInitializeAArch64TargetInfo();
  LLVMInitializeAArch64Target();
  LLVMInitializeAArch64TargetMC();
  LLVMInitializeAArch64AsmPrinter();
  LLVMInitializeAArch64AsmParser();
}

/* `here`: the code is to run on this machine. */
static poa_status init(poa_target *target, const char *cpu, const char *triple, bool here,
                       poa_error *error) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, register_targets);
  memset(target, 0, sizeof *target);
  char *host = LLVMGetDefaultTargetTriple();
  char *host_cpu = LLVMGetHostCPUName(), *host_features = LLVMGetHostCPUFeatures();
  char architecture[NAME_LENGTH];
  request r;
  bool foreign = triple && strncmp(triple, host, strcspn(host, "-") + 1) != 0;
  snprintf(target->triple, sizeof target->triple, "%s", triple ? triple : host);
  snprintf(architecture, sizeof architecture, "%.*s", (int)strcspn(target->triple, "-"),
           target->triple);
  poa_status status = split_request(cpu ? cpu : foreign ? "generic" : "native", &r, error);
  if (status == POA_OK && strcmp(r.name, "native") == 0 && !foreign)
    status = set_features(target, host_cpu, host_features, r.extras, error);
  else if (status == POA_OK)
    status = set_named(target, architecture, &r, error);
  if (status == POA_OK)
    status = check_extras(architecture, r.extras, error);
  if (status == POA_OK && here)
    status = check_machine(target, host_cpu, host_features, error);
  if (status == POA_OK)
    set_vectors(target, architecture);
  LLVMDisposeMessage(host_features);
  LLVMDisposeMessage(host_cpu);
  LLVMDisposeMessage(host);
  return status;
}

poa_status poa_target_init(poa_target *target, const char *cpu, poa_error *error) {
  return init(target, cpu, NULL, true, error);
}

static bool is_known_architecture(const char *triple) {
  size_t length = strcspn(triple, "-");
  for (size_t i = 0; i < NAMED_CPUS; ++i)
    if (strlen(cpus[i].architecture) == length &&
        strncmp(cpus[i].architecture, triple, length) == 0)
      return true;
  return false;
}

poa_status poa_target_init_for(poa_target *target, const char *cpu, const char *triple,
                               poa_error *error) {
  memset(target, 0, sizeof *target);
  if (triple && !is_known_architecture(triple))
    return poa_fail(error, POA_BAD_INPUT,
                    "--target '%.80s': expected x86_64-linux-gnu or aarch64-linux-gnu", triple);
  return init(target, cpu, triple, false, error);
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
